import { TONES } from './status-badge.tsx';

export interface SparklineProps {
  /** Of each stretch of time, oldest first. */
  points: { attempts: number; failed: number; succeeded: number }[];
  label: string;
}

const WIDTH = 120;
const HEIGHT = 26;

/** Attempts over time as bars: what succeeded from below, what failed on top. */
export function Sparkline({ points, label }: SparklineProps) {
  const highest = Math.max(1, ...points.map(({ attempts }) => attempts));
  const step = WIDTH / Math.max(points.length, 1);
  const scale = (count: number) => (count === 0 ? 0 : Math.max(1.5, (count / highest) * (HEIGHT - 1)));
  return (
    <svg width={WIDTH} height={HEIGHT} role="img" aria-label={label} viewBox={`0 0 ${WIDTH} ${HEIGHT}`}>
      <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} stroke="currentColor" opacity="0.2" />
      {points.map(({ failed, succeeded }, index) => {
        const good = scale(succeeded);
        const bad = scale(failed);
        const bar = { x: index * step + 0.5, width: Math.max(step - 1, 1) };
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a bar is its place
          <g key={index}>
            <rect {...bar} y={HEIGHT - good} height={good} fill={TONES.good} />
            <rect {...bar} y={HEIGHT - good - bad} height={bad} fill={TONES.bad} />
          </g>
        );
      })}
    </svg>
  );
}
