/** What is filled in, as the body of a submission. No React. */

import type { TranslationBundle } from '@jupyterlab/translation';

import { duration } from '../../core/format';
import { readParameters, type Typed } from '../../core/parameters';
import type { ISelection } from '../../core/tokens';
import type { IInspection, ISubmission } from '../../core/types';
import type { Carried } from '../kernel-state/carried';
import type { SweepDraft } from '../sweep/draft';
import type { IOffer } from './choices';
import type { FolderDraft } from './folder';
import { parseLabels, seconds, splitArguments, type Unit } from './values';

/** What the form holds. */
export interface IFilled {
  readonly path: string;
  readonly folder: FolderDraft | null;
  readonly inspection: IInspection | null;
  readonly selection: ISelection | null;
  readonly offer: IOffer | null;
  readonly sweep: SweepDraft;
  readonly carried: Carried | null;
  readonly inputs: { [name: string]: Typed };
  readonly argumentLine: string;
  readonly texts: { [key: string]: string };
  readonly labels: string;
  readonly amount: string;
  readonly unit: Unit;
}

/** A body, and sentences by the field that cannot be read. */
export interface IRequest {
  body: ISubmission;
  errors: { [field: string]: string };
}

/** Read what is filled in. */
export function readRequest(form: IFilled, trans: TranslationBundle): IRequest {
  const { folder, inspection, selection } = form;
  const body: ISubmission = folder ? folder.body : { path: form.path };
  const errors: IRequest['errors'] = folder ? folder.errors : {};
  if (!selection) {
    return { body, errors };
  }
  Object.assign(body, selection);
  if (selection.count === 0) {
    delete body.count;
  }
  for (const [key, text] of Object.entries(form.texts)) {
    Object.assign(body, text.trim() ? { [key]: text.trim() } : {});
  }
  const limit = seconds(form.amount, form.unit);
  const most = form.offer?.maxTime;
  if (limit === null) {
    errors.time_limit = trans.__('A number greater than zero is expected.');
  } else if (most && limit > most) {
    errors.time_limit = trans.__('This queue allows at most %1.', duration(most, trans));
  } else {
    body.time_limit = limit;
  }
  const { labels, error } = parseLabels(form.labels, trans);
  if (error !== undefined) {
    errors.labels = error;
  } else if (labels.length) {
    body.labels = labels;
  }
  if (inspection && folder?.way !== 'command') {
    addValues(form, inspection, { body, errors }, trans);
  }
  return { body, errors };
}

/** Parameters, arguments, points. */
function addValues(
  form: IFilled,
  inspection: IInspection,
  { body, errors }: IRequest,
  trans: TranslationBundle
): void {
  const { carried, sweep } = form;
  if (carried) {
    body.from_here = carried.body;
    return;
  }
  if (sweep.on) {
    body.sweep = sweep.body;
    Object.assign(errors, sweep.errors);
  }
  if (inspection.kind === 'script') {
    const list = splitArguments(form.argumentLine);
    if (list) {
      body.arguments = list;
    } else {
      errors.arguments = trans.__('A quote is opened but not closed.');
    }
  } else if (!sweep.on) {
    body.typed = readParameters(inspection.parameters, form.inputs);
  }
}
