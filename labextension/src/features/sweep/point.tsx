/** A point in the table of its sweep, which opens into its result and its log. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { duration } from '../../core/format';
import { isFinal, stateWord } from '../../core/status';
import { CommandIDs } from '../../core/tokens';
import type { ISweepPoint } from '../../core/types';
import { Symbol } from '../../core/ui/components';
import { useJobs } from '../../core/ui/context';
import { show, whole } from '../../core/values';
import { Log } from '../job-common/log';
import { type IColumn, seconds } from './table';

interface IPointRowProps {
  /** Its place in the whole table, of which the head is 1. */
  row: number;
  point: ISweepPoint;
  /** Parameters and recorded values. */
  columns: IColumn[];
  /** Columns of the whole table. */
  span: number;
  open: boolean;
  mayRerun: boolean;
  onToggle: (point: number) => void;
  onRerun: (point: number) => Promise<void>;
}

/** Drawn again only when something of it changed: there may be a thousand. */
export const PointRow = React.memo(
  ({ row, point, columns, span, open, ...rest }: IPointRowProps): JSX.Element => {
    const { onToggle } = rest;
    const { trans } = useJobs();
    const more = `aiinfn-point-${point.job}`;
    const cell = (column: IColumn) => {
      const value = column.value(point, 0);
      return (
        <td key={column.key} title={whole(value)}>
          {show(value)}
        </td>
      );
    };
    return (
      <>
        <tr
          className={open ? 'aiinfn-mod-open' : undefined}
          data-point={point.point}
          aria-rowindex={row}
          onClick={event => {
            // The button has its own; text that is being selected is no press.
            if (!(event.target as Element).closest('button') && !getSelection()?.toString()) {
              onToggle(point.point);
            }
          }}
        >
          <th scope="row">
            <button
              type="button"
              aria-expanded={open}
              aria-controls={open ? more : undefined}
              aria-label={trans.__('Point %1', point.point)}
              onClick={() => onToggle(point.point)}
            >
              {point.point}
            </button>
          </th>
          <td className="aiinfn-State" title={point.sentence}>
            <Symbol name={point.state} /> {stateWord(point.state, trans)}
            {point.carried && (
              <>
                {' '}
                <span
                  className="aiinfn-Tag"
                  title={trans.__('The result of the sweep that this one runs again in part')}
                >
                  {trans.__('kept')}
                </span>
              </>
            )}
          </td>
          {columns.filter(({ key }) => key.startsWith('parameter:')).map(cell)}
          <td className="aiinfn-mod-seconds">
            <Took point={point} trans={trans} />
          </td>
          {columns.filter(({ key }) => key.startsWith('value:')).map(cell)}
        </tr>
        {open && (
          <tr className="aiinfn-Point">
            <td id={more} colSpan={span}>
              <Opened point={point} {...rest} />
            </td>
          </tr>
        )}
      </>
    );
  }
);
PointRow.displayName = 'PointRow';

/** How long it took; of a point that runs, second by second without drawing anything else. */
function Took({
  point,
  trans
}: {
  point: ISweepPoint;
  trans: TranslationBundle;
}): JSX.Element | null {
  const [, tick] = React.useReducer((count: number) => count + 1, 0);
  const runs = !!point.started && !point.ended && !isFinal(point);
  React.useEffect(() => {
    const timer = runs ? window.setInterval(() => document.hidden || tick(), 1000) : 0;
    return () => window.clearInterval(timer);
  }, [runs]);
  const took = seconds(point, Date.now());
  return took === undefined ? null : <>{duration(took, trans)}</>;
}

type IOpenedProps = Pick<IPointRowProps, 'point' | 'mayRerun' | 'onRerun'>;

/** What happened, its result, its log. */
function Opened({ point, mayRerun, onRerun }: IOpenedProps): JSX.Element {
  const { trans, commands } = useJobs();
  const [busy, setBusy] = React.useState(false);
  const path = point.lab_output;
  return (
    <div className="aiinfn-Point-more">
      <p>{point.sentence}</p>
      <div className="aiinfn-Actions">
        {path && point.attempt > 0 && (
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept"
            title={path}
            onClick={() => void commands.execute(CommandIDs.openOutput, { path })}
          >
            {trans.__('Open output')}
          </button>
        )}
        {mayRerun && (
          <button
            type="button"
            className="jp-mod-styled"
            disabled={busy}
            onClick={() => {
              setBusy(true);
              void onRerun(point.point).finally(() => setBusy(false));
            }}
          >
            {trans.__('Run this point again')}
          </button>
        )}
      </div>
      {point.attempt > 0 ? (
        <Log
          key={`${point.job}:${point.attempt}`}
          id={point.job}
          name={trans.__('point %1', point.point)}
          over={isFinal(point)}
          attempt={point.attempt}
        />
      ) : (
        <p className="aiinfn-Quiet">
          {isFinal(point)
            ? trans.__('There is no log: the point was never started.')
            : trans.__('The log appears here when the point starts.')}
        </p>
      )}
    </div>
  );
}
