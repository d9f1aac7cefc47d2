/** The values of a sweep, as they are typed; loaded when a sweep is first wanted. */

import * as React from 'react';

import type { IInspection } from '../../core/types';
import { useJobs } from '../../core/ui/context';
import { Switch } from '../../core/ui/switch';
import type { SweepDraft, Way } from './draft';
import { Grid, Rows } from './grid';
import { Table } from './paste';
import { Preview } from './preview';

interface ISweepProps {
  sweep: SweepDraft;
  /** Of the file that is submitted. */
  path: string;
  inspection: IInspection;
  errors: { [field: string]: string };
}

export default function Sweep({ sweep, path, inspection, errors }: ISweepProps): JSX.Element {
  const { trans } = useJobs();
  return (
    <div className="aiinfn-Sweep">
      <Switch<Way>
        name="way"
        legend={trans.__('Points')}
        value={sweep.way}
        choices={[
          { value: 'grid', title: trans.__('All combinations') },
          { value: 'table', title: trans.__('A table') }
        ]}
        onChange={way => sweep.set({ way })}
      />
      {sweep.way === 'table' ? (
        <Table sweep={sweep} path={path} inspection={inspection} error={errors.sweep} />
      ) : inspection.kind === 'script' ? (
        <Rows sweep={sweep} errors={errors} />
      ) : (
        <Grid sweep={sweep} inspection={inspection} errors={errors} />
      )}
      <Preview sweep={sweep} errors={errors} />
    </div>
  );
}
