/** What a person says about a job in one line each: fields of the dialog and, but for the name, lines of an opened job. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IJob, ISubmission } from './types';

interface IDescription {
  key: keyof IJob & keyof ISubmission;
  label: string;
  hint?: string;
}

/** The texts of the platform's `JobDescription`, in the order in which they are shown. */
export function descriptions(trans: TranslationBundle): IDescription[] {
  return [{ key: 'name', label: trans.__('Name') }];
}
