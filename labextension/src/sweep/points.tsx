/** The points of a sweep as a table: sorted, filtered, each opens. */

import { caretDownIcon, caretUpIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Runtime } from '../runtime';
import type { ISweepPoint } from '../types';
import { PointRow } from './point';
import { columns, type IColumn, type ISort, sorted } from './table';

/** Rows that are drawn at once, and how many more each time. */
const PAGE = 100;

interface IPointsTableProps {
  /** Of the sweep. */
  id: string;
  name: string;
  mayRerun: boolean;
  points: ISweepPoint[];
  runtime: Runtime;
  /** Must stay the same: the table is drawn again only when something of it changed. */
  onReveal: (id: string) => void;
}

export const PointsTable = React.memo((props: IPointsTableProps): JSX.Element => {
  const { id, name, mayRerun, points, runtime, onReveal } = props;
  const { trans } = runtime;
  const [sort, setSort] = React.useState<ISort>({ key: 'point', descending: false });
  const [failedOnly, setFailedOnly] = React.useState(false);
  const [shown, setShown] = React.useState(PAGE);
  const [open, setOpen] = React.useState<number | null>(null);
  const heads = React.useMemo(() => columns(points, trans), [points, trans]);
  const ordered = React.useMemo(() => {
    const column = heads.find(item => item.key === sort.key);
    const listed = failedOnly ? points.filter(point => point.state === 'failed') : points;
    // Durations of what runs grow together: their order does not depend on the moment.
    return sorted(listed, column, sort.descending, Date.now());
  }, [points, heads, sort, failedOnly]);
  const toggle = React.useCallback(
    (point: number) => setOpen(before => (before === point ? null : point)),
    []
  );
  const rerun = React.useCallback(
    async (point: number) => {
      const again = await runtime.rerun(id, String(point));
      if (again) {
        onReveal(again.id);
      }
    },
    [runtime, id, onReveal]
  );
  const failed = points.filter(point => point.state === 'failed').length;
  const cells = React.useMemo(() => heads.filter(({ key }) => isPlain(key)), [heads]);
  return (
    <>
      {(failed > 0 || failedOnly) && (
        <label className="aiinfn-FailedOnly">
          <input
            type="checkbox"
            checked={failedOnly}
            onChange={event => setFailedOnly(event.target.checked)}
          />
          {trans.__('Failed only (%1)', failed)}
        </label>
      )}
      <div
        className="aiinfn-TableBox"
        tabIndex={0}
        role="region"
        aria-label={trans.__('Points of %1', name)}
      >
        <table className="aiinfn-Table aiinfn-mod-points">
          <thead>
            <tr>
              {heads.map(column => (
                <Head key={column.key} column={column} sort={sort} onSort={setSort} />
              ))}
            </tr>
          </thead>
          <tbody>
            {ordered.slice(0, shown).map(point => (
              <PointRow
                key={point.point}
                point={point}
                columns={cells}
                span={heads.length}
                open={open === point.point}
                mayRerun={mayRerun}
                runtime={runtime}
                onToggle={toggle}
                onRerun={rerun}
              />
            ))}
          </tbody>
        </table>
      </div>
      {failedOnly && !ordered.length && (
        <p className="aiinfn-Quiet">{trans.__('No point failed.')}</p>
      )}
      {ordered.length > shown && (
        <div className="aiinfn-More">
          <span className="aiinfn-Quiet">{trans.__('%1 of %2 points', shown, ordered.length)}</span>{' '}
          <button
            type="button"
            className="jp-mod-styled jp-mod-minimal"
            onClick={() => setShown(shown + PAGE)}
          >
            {trans.__('Show more')}
          </button>
        </div>
      )}
    </>
  );
});
PointsTable.displayName = 'PointsTable';

/** Whether the cells of a column show nothing but its value. */
function isPlain(key: string): boolean {
  return key.startsWith('parameter:') || key.startsWith('value:');
}

interface IHeadProps {
  column: IColumn;
  sort: ISort;
  onSort: (sort: ISort) => void;
}

function Head({ column, sort, onSort }: IHeadProps): JSX.Element {
  const mine = sort.key === column.key;
  const Mark = sort.descending ? caretDownIcon : caretUpIcon;
  return (
    <th
      scope="col"
      aria-sort={mine ? (sort.descending ? 'descending' : 'ascending') : undefined}
      className={`aiinfn-mod-${column.key.split(':')[0]}`}
    >
      <button
        type="button"
        onClick={() => onSort({ key: column.key, descending: mine && !sort.descending })}
      >
        {column.title}
        {mine && <Mark.react tag="span" width="12px" height="12px" aria-hidden="true" />}
      </button>
    </th>
  );
}
