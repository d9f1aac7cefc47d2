/** The points of a sweep as a table: sorted, filtered, each opens. Of a long one only what is in sight is drawn. */

import { caretDownIcon, caretUpIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ISweepPoint } from '../../core/types';
import { useJobs } from '../../core/ui/context';
import { PointRow } from './point';
import { columns, type IColumn, type ISort, sorted } from './table';
import { useRange } from './window';

interface IPointsTableProps {
  /** Of the sweep. */
  id: string;
  name: string;
  mayRerun: boolean;
  points: ISweepPoint[];
  /** Must stay the same: the table is drawn again only when something of it changed. */
  onReveal: (id: string) => void;
}

export const PointsTable = React.memo((props: IPointsTableProps): JSX.Element => {
  const { id, name, mayRerun, points, onReveal } = props;
  const jobs = useJobs();
  const { trans } = jobs;
  const [sort, setSort] = React.useState<ISort>({ key: 'point', descending: false });
  const [failedOnly, setFailedOnly] = React.useState(false);
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
      const again = await jobs.rerun(id, String(point));
      if (again) {
        onReveal(again.id);
      }
    },
    [jobs, id, onReveal]
  );
  const failed = points.filter(point => point.state === 'failed').length;
  const box = React.useRef<HTMLDivElement>(null);
  const opened = open === null ? -1 : ordered.findIndex(({ point }) => point === open);
  const { first, end, before, after } = useRange(box, ordered.length, opened < 0 ? null : opened);
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
        ref={box}
        className="aiinfn-TableBox"
        tabIndex={0}
        role="region"
        aria-label={trans.__('Points of %1', name)}
      >
        <table className="aiinfn-Table aiinfn-mod-points" aria-rowcount={ordered.length + 1}>
          <thead>
            <tr>
              {heads.map(column => (
                <Head key={column.key} column={column} sort={sort} onSort={setSort} />
              ))}
            </tr>
          </thead>
          <tbody>
            <Gap key="before" height={before} span={heads.length} />
            {ordered.slice(first, end).map((point, index) => (
              <PointRow
                key={point.point}
                row={first + index + 2}
                point={point}
                columns={cells}
                span={heads.length}
                open={open === point.point}
                mayRerun={mayRerun}
                onToggle={toggle}
                onRerun={rerun}
              />
            ))}
            <Gap key="after" height={after} span={heads.length} />
          </tbody>
        </table>
      </div>
      {failedOnly && !ordered.length && (
        <p className="aiinfn-Quiet">{trans.__('No point failed.')}</p>
      )}
    </>
  );
});
PointsTable.displayName = 'PointsTable';

/** Stands for rows that are not drawn. */
function Gap({ height, span }: { height: number; span: number }): JSX.Element | null {
  return height > 0 ? (
    <tr className="aiinfn-Gap" role="presentation">
      <td role="presentation" colSpan={span} style={{ height }} />
    </tr>
  ) : null;
}

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
