import type { AnyVariables, TypedDocumentNode } from 'urql';
import { client, describeError } from './client.ts';

/** What a mutation answers: its payload, or an error with a message. */
interface Result {
  __typename: string;
}

type Payload<R> = Exclude<R, { __typename: `${string}Error` }>;

/** An input that is wrong, by where it is: `url`, `retryPolicy.delaysSeconds.0`. */
export type InputFaults = Record<string, string>;

export type Performed<R> = { ok: true; payload: Payload<R> } | { ok: false; message: string; faults: InputFaults };

/** Runs a mutation of one field. Whatever fails comes back as a message for people. */
export async function perform<Data extends Record<string, Result>, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Performed<Data[keyof Data]>> {
  const { data, error } = await client.mutation(document, variables).toPromise();
  if (error) return { ok: false, message: describeError(error), faults: {} };
  const [result] = Object.values(data ?? {}) as Result[];
  if (!result) return { ok: false, message: 'Posthorn gave no answer.', faults: {} };
  if (!result.__typename.endsWith('Error')) return { ok: true, payload: result as Payload<Data[keyof Data]> };
  const { message, issues = [] } = result as unknown as {
    message: string;
    issues?: { path: string[]; message: string }[];
  };
  return {
    ok: false,
    message,
    faults: Object.fromEntries(issues.map((issue) => [issue.path.join('.'), toSentence(issue.message)])),
  };
}

/** The server says what a field must be, as the end of a sentence that begins with its name. */
const toSentence = (message: string) => message.charAt(0).toUpperCase() + message.slice(1);
