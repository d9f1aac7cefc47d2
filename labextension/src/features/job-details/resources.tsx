/** What a job used over time, as small charts with words; loaded when a job is opened. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { explain } from '../../core/errors';
import { duration } from '../../core/format';
import { isFinal } from '../../core/status';
import type { IJob, IResourcePoint, IResources } from '../../core/types';
import { useJobs } from '../../core/ui/context';
import { curve, type ICurve, scale } from './curve';

/** Milliseconds between two readings of a job that runs. */
const PACE = 4000;
const WIDTH = 240;
const HEIGHT = 36;

interface IUsedProps {
  job: IJob;
}

export default function Used({ job }: IUsedProps): JSX.Element | null {
  const { trans } = useJobs();
  const { used, error } = useResources(job);
  if (error) {
    return (
      <section className="aiinfn-Section">
        <h3>{trans.__('Resources')}</h3>
        <p className="aiinfn-Quiet">{error}</p>
      </section>
    );
  }
  if (!used || (!used.points.length && isFinal(job))) {
    return null;
  }
  return (
    <section className="aiinfn-Section aiinfn-Used">
      <h3>{trans.__('Resources')}</h3>
      {used.advice.map(sentence => (
        <p key={sentence} className="aiinfn-Advice">
          {sentence}
        </p>
      ))}
      {used.points.length ? (
        <>
          {charts(used, trans).map(chart => (
            <Chart key={chart.name} {...chart} points={used.points} trans={trans} />
          ))}
          <ul className="aiinfn-Used-words">
            {used.sentences.map(sentence => (
              <li key={sentence}>{sentence}</li>
            ))}
          </ul>
        </>
      ) : (
        <p className="aiinfn-Quiet">{trans.__('The first figures appear in a few seconds.')}</p>
      )}
    </section>
  );
}

/** Read again and again while the job runs and the page is seen. */
function useResources(job: IJob): { used: IResources | null; error: string } {
  const { api, trans } = useJobs();
  const [used, setUsed] = React.useState<IResources | null>(null);
  const [error, setError] = React.useState('');
  const { id, attempt, state } = job;
  React.useEffect(() => {
    let current = true;
    const read = () => {
      if (document.hidden) {
        return;
      }
      api.resources(id, attempt).then(
        found => {
          if (current) {
            setUsed(found);
            setError('');
          }
        },
        reason => {
          if (current) {
            setError(explain(reason, trans).message);
          }
        }
      );
    };
    read();
    const timer = state === 'running' ? window.setInterval(read, PACE) : 0;
    return () => {
      current = false;
      window.clearInterval(timer);
    };
  }, [api, trans, id, attempt, state]);
  return { used, error };
}

interface IChart {
  name: string;
  /** The end of the scale in words. */
  limit: string;
  most: number;
  value: (point: IResourcePoint) => number | null;
  /** A value in words. */
  say: (value: number) => string;
}

function charts(used: IResources, trans: TranslationBundle): IChart[] {
  const cores = (value: number) =>
    trans._n(
      '%2 core',
      '%2 cores',
      value === 1 ? 1 : 2,
      Number(value.toFixed(value < 0.1 ? 2 : 1))
    );
  const percent = (value: number) => trans.__('%1 %', Math.round(value));
  const found: IChart[] = [
    {
      name: trans.__('CPU'),
      limit: cores(used.cores),
      most: used.cores,
      value: point => point.cores,
      say: cores
    },
    {
      name: trans.__('Memory'),
      limit: size(used.memory, trans),
      most: used.memory,
      value: point => point.memory,
      say: value => size(value, trans)
    }
  ];
  if (used.points.some(point => point.busy !== null)) {
    found.push({
      name: trans.__('%1, busy', used.accelerator_title),
      limit: percent(100),
      most: 100,
      value: point => point.busy,
      say: percent
    });
  }
  const most = Math.max(0, ...used.points.map(point => point.accelerator_memory ?? 0));
  if (most > 0) {
    found.push({
      name: trans.__('%1, memory', used.accelerator_title),
      limit: size(used.accelerator_memory ?? most, trans),
      most: used.accelerator_memory ?? most,
      value: point => point.accelerator_memory,
      say: value => size(value, trans)
    });
  }
  return found;
}

interface IChartProps extends IChart {
  points: readonly IResourcePoint[];
  trans: TranslationBundle;
}

function Chart({ name, limit, most, value, say, points, trans }: IChartProps): JSX.Element {
  const values = points.map(value);
  const told = values.filter((each): each is number => each !== null);
  const peak = Math.max(0, ...told);
  const end = points[points.length - 1].time;
  const top = scale(most, peak);
  const shape: ICurve = curve(
    points.map((point, index) => ({ time: point.time, value: values[index] })),
    { end, top, width: WIDTH, height: HEIGHT }
  );
  const limitAt = HEIGHT - (most / top) * HEIGHT;
  const now = told.length ? told[told.length - 1] : 0;
  return (
    <figure className="aiinfn-Chart">
      <figcaption>
        <strong>{name}</strong>
        <span>{trans.__('%1 of %2', say(now), limit)}</span>
      </figcaption>
      <svg
        role="img"
        aria-label={trans.__(
          '%1 over %2: now %3, at most %4, of %5.',
          name,
          duration(end, trans),
          say(now),
          say(peak),
          limit
        )}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
      >
        <path className="aiinfn-Chart-area" d={shape.area} />
        <path className="aiinfn-Chart-line" d={shape.line} vectorEffect="non-scaling-stroke" />
        <line
          className="aiinfn-Chart-limit"
          x1={0}
          x2={WIDTH}
          y1={limitAt}
          y2={limitAt}
          vectorEffect="non-scaling-stroke"
        />
      </svg>
    </figure>
  );
}

/** Bytes with the unit that fits. */
export function size(bytes: number, trans: TranslationBundle): string {
  const write = (power: number) => Number((bytes / 2 ** power).toFixed(1));
  return bytes >= 2 ** 30 ? trans.__('%1 GiB', write(30)) : trans.__('%1 MiB', write(20));
}
