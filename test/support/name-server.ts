import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, beforeEach } from 'vitest';

const TYPES: Record<number, 'A' | 'AAAA'> = { 1: 'A', 28: 'AAAA' };
const TYPE_CODES = { A: 1, AAAA: 28 };
const RESPONSE_CODES = { ok: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 };

export interface Question {
  name: string;
  type: 'A' | 'AAAA' | 'other';
  /** Whether it came over TCP. */
  isTcp: boolean;
}

/** What a name server answers: addresses, a failure, or nothing at all. */
export type NameAnswer =
  | {
      addresses: string[];
      ttl?: number /** Over UDP, only says that the answer is longer than fits. */;
      isTruncated?: boolean;
    }
  | { code: 'SERVFAIL' | 'NXDOMAIN' | 'REFUSED' }
  | 'never';

/** A name server for tests, over UDP and TCP on the same port of 127.0.0.1. */
export class NameServer {
  questions: Question[] = [];
  /** @default NXDOMAIN */
  answer: (question: Question) => NameAnswer | Promise<NameAnswer> = () => ({ code: 'NXDOMAIN' });
  #udp!: Socket;
  #tcp!: Server;

  async start(): Promise<this> {
    this.#tcp = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', async (data) => {
        const reply = await this.#reply(data.subarray(2), true);
        if (!reply) return;
        const length = Buffer.alloc(2);
        length.writeUInt16BE(reply.length);
        socket.end(Buffer.concat([length, reply]));
      });
    }).listen(0, '127.0.0.1');
    await once(this.#tcp, 'listening');
    this.#udp = createSocket('udp4', (message, from) => void this.#send(message, from));
    this.#udp.bind((this.#tcp.address() as AddressInfo).port, '127.0.0.1');
    await once(this.#udp, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    this.#udp.close();
    this.#tcp.close();
    await once(this.#tcp, 'close');
  }

  /** As `POSTHORN_DNS_SERVERS` has it. */
  get address(): string {
    return `127.0.0.1:${this.#udp.address().port}`;
  }

  /** Questions for a name. */
  of(name: string): Question[] {
    return this.questions.filter((question) => question.name === name);
  }

  async #send(message: Buffer, { port, address }: RemoteInfo) {
    const reply = await this.#reply(message, false);
    if (reply) this.#udp.send(reply, port, address);
  }

  async #reply(message: Buffer, isTcp: boolean): Promise<Buffer | null> {
    const { question, end } = readQuestion(message, isTcp);
    this.questions.push(question);
    const answer = await this.answer(question);
    if (answer === 'never') return null;
    const isTruncated = 'addresses' in answer && answer.isTruncated === true && !isTcp;
    const records =
      'addresses' in answer && !isTruncated
        ? answer.addresses.map((address) => toRecord(address, answer.ttl ?? 60))
        : [];
    const ofType = records.filter(
      (record) => question.type !== 'other' && record.readUInt16BE(2) === TYPE_CODES[question.type],
    );
    const header = Buffer.alloc(12);
    message.copy(header, 0, 0, 2);
    header.writeUInt16BE(
      0x8180 | (isTruncated ? 0x0200 : 0) | RESPONSE_CODES['code' in answer ? answer.code : 'ok'],
      2,
    );
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(ofType.length, 6);
    return Buffer.concat([header, message.subarray(12, end), ...ofType]);
  }
}

/** RFC 1035 section 4.1.2. */
function readQuestion(message: Buffer, isTcp: boolean): { question: Question; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = TYPES[message.readUInt16BE(at + 1)] ?? 'other';
  return { question: { name: labels.join('.').toLowerCase(), type, isTcp }, end: at + 5 };
}

/** RFC 1035 section 4.1.3, of the name in the question. */
function toRecord(address: string, ttl: number): Buffer {
  const data = address.includes(':') ? parseV6(address) : Buffer.from(address.split('.').map(Number));
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(data.length === 4 ? TYPE_CODES.A : TYPE_CODES.AAAA, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

/** Only the two forms that the tests need: `::1` and eight groups. */
function parseV6(address: string): Buffer {
  const groups =
    address === '::1' ? [0, 0, 0, 0, 0, 0, 0, 1] : address.split(':').map((group) => Number.parseInt(group, 16));
  const data = Buffer.alloc(16);
  for (const [index, group] of groups.entries()) data.writeUInt16BE(group, index * 2);
  return data;
}

/** A name server for all tests of a file. Each test begins without questions and answers. */
export function useNameServer(): NameServer {
  const server = new NameServer();
  beforeAll(() => server.start());
  beforeEach(() => {
    server.questions = [];
    server.answer = () => ({ code: 'NXDOMAIN' });
  });
  afterAll(() => server.stop());
  return server;
}
