/** The body of the submission dialog. */

import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { descriptions } from '../../core/descriptions';
import { absolute, ago, duration } from '../../core/format';
import type { ISelection } from '../../core/tokens';
import { Banner, useSignal } from '../../core/ui/components';
import { CARET, Field, Select } from '../../core/ui/field';
import { CarriedSection } from '../kernel-state/section';
import { Accelerators } from './accelerators';
import { Checks, Verdict } from './checks';
import type { IOffer } from './choices';
import { type SubmitForm, whole } from './form';
import { LabelsField } from './labels';
import { Runs } from './runs';
import type { Unit } from './values';

const Program = React.lazy(() => import('./program'));

export function SubmitBody({ form }: { form: SubmitForm }): JSX.Element {
  useSignal(form.changed);
  const { trans, offer, selection, inspection } = form;
  const { folder } = form;
  if (!offer || !selection || !form.ready) {
    return form.fatal ? (
      <Banner problem={form.fatal}>
        <button type="button" className="aiinfn-Link" onClick={() => void form.load()}>
          {trans.__('Try again')}
        </button>
      </Banner>
    ) : (
      <p className="aiinfn-Loading" role="status">
        {trans.__('Looking at the file and at what is free…')}
      </p>
    );
  }
  const { errors, notes } = form;
  return (
    <div className="aiinfn-Submit">
      <Source form={form} />
      {!folder && <Origin form={form} />}
      {form.fatal && <Banner problem={form.fatal} />}
      {form.carried && (
        <CarriedSection
          carried={form.carried}
          otherImage={selection.image !== form.status?.session.image}
          error={errors.from_here ?? errors.state}
        />
      )}
      {folder && (
        <React.Suspense fallback={null}>
          <Program form={form} folder={folder} errors={errors} notes={notes} />
        </React.Suspense>
      )}
      {folder && <Origin form={form} />}
      {offer.projects.length > 1 && (
        <Field
          field="project"
          label={trans.__('Project')}
          error={errors.project}
          note={notes.project}
        >
          {control => (
            <Select
              {...control}
              value={selection.project}
              choices={offer.projects}
              onChange={project => form.select({ project })}
            />
          )}
        </Field>
      )}
      <Accelerators
        offer={offer}
        value={selection.accelerator}
        error={errors.accelerator}
        note={notes.accelerator}
        trans={trans}
        onChange={accelerator => form.select({ accelerator })}
      />
      <Place form={form} offer={offer} selection={selection} errors={errors} notes={notes} />
      {inspection && !form.carried && folder?.way !== 'command' && (
        <Runs form={form} inspection={inspection} errors={errors} />
      )}
      <Checks form={form} notes={notes} />
      <Verdict form={form} />
    </div>
  );
}

/** What will run: the file, its kernel, and that it is copied now. */
function Source({ form }: { form: SubmitForm }): JSX.Element {
  const { trans, inspection, folder } = form;
  const kernel = inspection?.kernel;
  if (folder) {
    return (
      <p className="aiinfn-Source">
        <code>{folder.info?.path}/</code>
        <span>{folder.info?.sentence}</span>
        <span>{trans.__('Later edits do not change the job.')}</span>
      </p>
    );
  }
  return (
    <p className="aiinfn-Source">
      <code>{inspection?.path}</code>
      {inspection && (
        <span title={absolute(inspection.modified)}>
          {kernel
            ? trans.__('%1, saved %2', kernel.title, ago(inspection.modified, Date.now(), trans))
            : trans.__('saved %1', ago(inspection.modified, Date.now(), trans))}
        </span>
      )}
      <span>{trans.__('Later edits do not change the job.')}</span>
    </p>
  );
}

/** Where the values come from that are filled in already. */
function Origin({ form }: { form: SubmitForm }): JSX.Element | null {
  const { trans, inspection, folder, given, recalled } = form;
  const misread = folder?.way === 'command' ? null : inspection?.header_problem;
  if (!given && !recalled && !misread) {
    return null;
  }
  return (
    <>
      {misread && (
        <Banner
          problem={{
            ...misread,
            hint: whole(misread.hint, trans.__('Until then nothing of its header is used.'))
          }}
          tone="warning"
        />
      )}
      {(given || recalled) && (
        <p className="aiinfn-Origin">
          {given && trans.__('From the header of %1: %2.', inspection?.name, given)}{' '}
          {recalled && (
            <>
              {given
                ? trans.__('The rest is as you chose it last time.')
                : trans.__('Filled in as you chose it last time.')}
              <button type="button" className="aiinfn-Link" onClick={() => form.forget()}>
                {trans.__('Forget that')}
              </button>
            </>
          )}
        </p>
      )}
    </>
  );
}

interface IPlaceProps {
  form: SubmitForm;
  offer: IOffer;
  selection: ISelection;
  errors: { [field: string]: string };
  notes: { [field: string]: string };
}

/** Count, queue, environment, size, time, descriptions and labels. */
function Place({ form, offer, selection, errors, notes }: IPlaceProps): JSX.Element {
  const { trans } = form;
  const queue = offer.queues.find(item => item.name === selection.queue);
  const size = offer.sizes.find(item => item.name === selection.size);
  const usualName = form.folder?.way === 'command' ? form.folder.command : form.inspection?.name;
  const counts = Array.from({ length: offer.maxCount }, (_, index) => String(index + 1));
  return (
    <div className="aiinfn-Grid">
      <Field
        field="queue"
        label={trans.__('Queue')}
        error={errors.queue}
        note={notes.queue}
        hint={
          queue && (
            <>
              <span className="aiinfn-Figures">
                {trans.__('%1 waiting, %2 running', queue.queued, queue.running)}
              </span>{' '}
              {queue.description}
            </>
          )
        }
      >
        {control => (
          <Select
            {...control}
            value={selection.queue}
            choices={offer.queues}
            onChange={name => form.select({ queue: name })}
          />
        )}
      </Field>
      {offer.maxCount > 0 && (
        <Field field="count" label={trans.__('How many')} error={errors.count} note={notes.count}>
          {control => (
            <Select
              {...control}
              value={String(selection.count)}
              choices={counts.map(count => ({ name: count, title: count }))}
              disabled={counts.length < 2}
              onChange={count => form.select({ count: Number(count) })}
            />
          )}
        </Field>
      )}
      <Field
        field="image"
        label={trans.__('Environment')}
        error={errors.image}
        note={notes.image}
        hint={selection.image === form.status?.session.image ? trans.__('as this session') : ''}
      >
        {control => (
          <Select
            {...control}
            value={selection.image}
            choices={offer.images}
            onChange={image => form.select({ image })}
          />
        )}
      </Field>
      <Field
        field="size"
        label={trans.__('Size')}
        error={errors.size}
        note={notes.size}
        hint={
          size
            ? trans._n('%1 core, %2 memory', '%1 cores, %2 memory', size.cores, memory(size.memory))
            : ''
        }
      >
        {control => (
          <Select
            {...control}
            value={selection.size}
            choices={offer.sizes}
            onChange={name => form.select({ size: name })}
          />
        )}
      </Field>
      <Field
        field="time_limit"
        label={trans.__('Time limit')}
        error={errors.time_limit}
        note={notes.time_limit}
        hint={offer.maxTime ? trans.__('at most %1', duration(offer.maxTime, trans)) : ''}
      >
        {control => (
          <div className="aiinfn-Time">
            <input
              {...control}
              className="jp-mod-styled"
              type="text"
              inputMode="decimal"
              autoComplete="off"
              value={form.amount}
              onChange={event => form.set({ amount: event.target.value })}
            />
            <HTMLSelect
              className="aiinfn-Select"
              aria-label={trans.__('Unit of the time limit')}
              value={form.unit}
              iconProps={CARET}
              onChange={event => form.set({ unit: event.target.value as Unit })}
              options={[
                { value: 'minutes', label: trans.__('minutes') },
                { value: 'hours', label: trans.__('hours') },
                { value: 'days', label: trans.__('days') }
              ]}
            />
          </div>
        )}
      </Field>
      {descriptions(trans).map(({ key, label, hint }) => (
        <Field
          key={key}
          field={key}
          label={label}
          hint={hint}
          error={errors[key]}
          note={notes[key]}
        >
          {control => (
            <input
              {...control}
              className="jp-mod-styled"
              type="text"
              autoComplete="off"
              maxLength={200}
              value={form.texts[key] ?? ''}
              placeholder={key === 'name' ? usualName : undefined}
              onChange={event => form.write({ [key]: event.target.value })}
            />
          )}
        </Field>
      ))}
      <LabelsField form={form} error={errors.labels} note={notes.labels} />
    </div>
  );
}

/** "16Gi" as people say it. */
function memory(quantity: string): string {
  return quantity.replace(/([KMGT])i$/, ' $1iB').replace(/([kMGT])$/, ' $1B');
}
