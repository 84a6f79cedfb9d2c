import { readFileSync } from 'node:fs';
import type { Databases } from './databases.ts';
import type { PosthornProcess } from './processes.ts';

/** What Posthorn and Postgres took of the machine. */
export interface Usage {
  /** CPU time of Posthorn's processes and of Postgres; null where there is no /proc. */
  cpuSeconds: number | null;
  /** The parts of that sum; `null` if the machine has no /proc. */
  cpuSecondsOf: CpuSeconds | null;
  /** Most memory of a process, by role; empty where there is no /proc. */
  peakMemoryMb: Record<string, number>;
}

/** CPU time by who used it. */
export interface CpuSeconds {
  posthorn: number;
  postgres: number;
}

const addUp = (cpu: CpuSeconds | null) => cpu && cpu.posthorn + cpu.postgres;

/** Begins to measure. @returns what gives the usage since then, to be called while the processes still run */
export function startMeter(processes: PosthornProcess[], databases: Databases): () => Usage {
  const start = readCpuSeconds(processes, databases);
  return () => {
    const end = readCpuSeconds(processes, databases);
    const cpuSecondsOf =
      start && end ? { posthorn: end.posthorn - start.posthorn, postgres: end.postgres - start.postgres } : null;
    return { cpuSeconds: addUp(cpuSecondsOf), cpuSecondsOf, peakMemoryMb: readPeakMemoryMb(processes) };
  };
}

/** The usage of one run after another: CPU time is added up, of the peaks the highest stands. */
export function addUsages(usages: Usage[]): Usage {
  const peakMemoryMb: Record<string, number> = {};
  for (const usage of usages) {
    for (const [role, megabytes] of Object.entries(usage.peakMemoryMb)) {
      peakMemoryMb[role] = Math.max(peakMemoryMb[role] ?? 0, megabytes);
    }
  }
  const cpuSecondsOf = usages.reduce<CpuSeconds | null>(
    (sum, { cpuSecondsOf: one }) =>
      sum && one && { posthorn: sum.posthorn + one.posthorn, postgres: sum.postgres + one.postgres },
    { posthorn: 0, postgres: 0 },
  );
  return { cpuSeconds: addUp(cpuSecondsOf), cpuSecondsOf, peakMemoryMb };
}

/** The columns of a row that tell of usage. @param count deliveries or events that it was for */
export const toUsageColumns = ({ cpuSeconds, peakMemoryMb }: Usage, count: number) => ({
  peakMemoryMb,
  cpuSecondsPer1000: cpuSeconds === null ? null : (cpuSeconds / count) * 1_000,
});

/** Most memory that processes ever had, by role; of several with one role the highest. */
export function readPeakMemoryMb(processes: PosthornProcess[]): Record<string, number> {
  const peaks: Record<string, number> = {};
  for (const { pid, role } of processes) {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readProc(`${pid}/status`) ?? '')?.[1];
    if (kilobytes !== undefined) peaks[role] = Math.max(peaks[role] ?? 0, Number(kilobytes) / 1_024);
  }
  return peaks;
}

/** Ticks of a second in /proc/PID/stat: USER_HZ, which is 100 on every Linux. */
const TICKS_PER_SECOND = 100;

function readCpuSeconds(processes: PosthornProcess[], { pid }: Databases): CpuSeconds | null {
  const own = processes.map((process) => readTicks(process.pid));
  const postmaster = readTicks(pid);
  if (own.includes(null) || postmaster === null) return null;
  const children = (readProc(`${pid}/task/${pid}/children`) ?? '').trim().split(' ').filter(Boolean).map(Number);
  const backends = children.map((child) => readTicks(child)?.own ?? 0);
  const toSeconds = (ticks: number[]) => ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_SECOND;
  return {
    posthorn: toSeconds(own.map((one) => one?.own ?? 0)),
    postgres: toSeconds([postmaster.own, postmaster.reaped, ...backends]),
  };
}

/** CPU time of a process, and of those children of it that ended and were waited for. */
function readTicks(pid: number): { own: number; reaped: number } | null {
  const text = readProc(`${pid}/stat`);
  if (text === null) return null;
  // The name, in parentheses, may have spaces. Behind it, field 3 comes first: utime is 14, cstime 17, proc_pid_stat(5).
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
  return { own: utime + stime, reaped: cutime + cstime };
}

function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    // Another system, or the process just ended.
    return null;
  }
}
