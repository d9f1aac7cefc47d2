/** The body of the submission dialog. */

import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Banner, Symbol, useSignal } from '../react';
import { Runs } from '../sweep/runs';
import { absolute, ago, duration } from '../words';
import { Accelerators } from './accelerators';
import type { IOffer, ISelection } from './choices';
import { CARET, Field, Select } from './field';
import type { SubmitForm } from './form';
import { type Unit } from './values';

const CarriedSection = React.lazy(() => import('../carry/section'));

export function SubmitBody({ form }: { form: SubmitForm }): JSX.Element {
  useSignal(form.changed);
  const { trans, offer, selection, inspection } = form;
  if (!offer || !selection || !inspection) {
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
  const { errors } = form;
  return (
    <div className="aiinfn-Submit">
      <Source form={form} />
      {form.fatal && <Banner problem={form.fatal} />}
      {form.carried && (
        <React.Suspense fallback={null}>
          <CarriedSection
            form={form}
            carried={form.carried}
            error={errors.from_here ?? errors.state}
          />
        </React.Suspense>
      )}
      {offer.projects.length > 1 && (
        <Field field="project" label={trans.__('Project')} error={errors.project}>
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
        trans={trans}
        onChange={accelerator => form.select({ accelerator })}
      />
      <Place form={form} offer={offer} selection={selection} errors={errors} />
      {!form.carried && <Runs form={form} inspection={inspection} errors={errors} />}
      <Verdict form={form} />
    </div>
  );
}

/** What will run: the file, its kernel, and that it is copied now. */
function Source({ form }: { form: SubmitForm }): JSX.Element {
  const { trans, inspection } = form;
  const kernel = inspection?.kernel;
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

interface IPlaceProps {
  form: SubmitForm;
  offer: IOffer;
  selection: ISelection;
  errors: { [field: string]: string };
}

/** Count, queue, environment, size, time and name. */
function Place({ form, offer, selection, errors }: IPlaceProps): JSX.Element {
  const { trans } = form;
  const queue = offer.queues.find(item => item.name === selection.queue);
  const size = offer.sizes.find(item => item.name === selection.size);
  const counts = Array.from({ length: offer.maxCount }, (_, index) => String(index + 1));
  return (
    <div className="aiinfn-Grid">
      <Field
        field="queue"
        label={trans.__('Queue')}
        error={errors.queue}
        hint={
          queue && (
            <>
              <span className="aiinfn-Figures">
                {trans.__('%1 waiting, %2 running', queue.waiting, queue.running)}
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
        <Field field="count" label={trans.__('How many')} error={errors.count}>
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
      <Field field="name" label={trans.__('Name')} error={errors.name}>
        {control => (
          <input
            {...control}
            className="jp-mod-styled"
            type="text"
            autoComplete="off"
            maxLength={200}
            value={form.name}
            placeholder={form.inspection?.name}
            onChange={event => form.set({ name: event.target.value })}
          />
        )}
      </Field>
    </div>
  );
}

/** "16Gi" as people say it. */
function memory(quantity: string): string {
  return quantity.replace(/([KMGT])i$/, ' $1iB').replace(/([kMGT])$/, ' $1B');
}

/** What would happen, or why not. */
function Verdict({ form }: { form: SubmitForm }): JSX.Element {
  const { trans, check, failure } = form;
  const refused = failure ?? (check.kind === 'refused' ? check.problem : null);
  let tone = 'quiet';
  let symbol = 'queued';
  let content: React.ReactNode = trans.__('Checking…');
  if (form.busy) {
    content = trans.__('Submitting…');
  } else if (form.fatal) {
    content = trans.__('This cannot be submitted; see above.');
  } else if (refused) {
    tone = 'error';
    symbol = 'failed';
    content = refused.field
      ? trans.__('Not accepted: see the marked field.')
      : [refused.message, refused.hint].filter(Boolean).join(' ');
  } else if (check.kind === 'none') {
    symbol = 'notice';
    content = form.canSubmit
      ? ''
      : Object.keys(form.errors).length
        ? trans.__('Correct the marked fields first.')
        : form.carried
          ? trans.__('Leave out large variables first.')
          : trans.__('Say first which values the sweep goes through.');
  } else if (check.kind === 'accepted') {
    tone = 'good';
    symbol = 'succeeded';
    content = check.sentence;
  } else if (check.kind === 'checking' && check.last) {
    content = check.last;
  }
  return (
    <div className={`aiinfn-Verdict aiinfn-mod-${tone}`} role="status">
      <Symbol name={symbol} />
      <span>{content}</span>
    </div>
  );
}
