/** The values of a sweep, as they are typed; loaded when a sweep is first wanted. */

import * as React from 'react';

import type { SubmitForm } from '../submit/form';
import { Switch } from '../submit/switch';
import type { IInspection } from '../types';
import type { Way } from './draft';
import { Grid, Rows } from './grid';
import { Table } from './paste';
import { Preview } from './preview';

interface ISweepProps {
  form: SubmitForm;
  inspection: IInspection;
  errors: { [field: string]: string };
}

export default function Sweep({ form, inspection, errors }: ISweepProps): JSX.Element {
  const { sweep, trans } = form;
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
        <Table form={form} inspection={inspection} error={errors.sweep} />
      ) : inspection.kind === 'script' ? (
        <Rows form={form} errors={errors} />
      ) : (
        <Grid form={form} inspection={inspection} errors={errors} />
      )}
      <Preview form={form} errors={errors} />
    </div>
  );
}
