/** What is wrong, as sentences for the person. */

import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from './api';
import type { IProblem, IStatus } from './types';
import { VERSION } from './version';

/** What is wrong, as a sentence and a hint for the person. */
export function explain(error: unknown, trans: TranslationBundle): IProblem {
  if (error instanceof ApiError) {
    switch (error.kind) {
      case 'problem':
        return error.problem;
      case 'server-missing':
        return {
          reason: 'server-missing',
          message: trans.__('The server half of the batch extension is missing.'),
          hint: trans.__(
            'Run “jupyter server extension list” in a terminal: aiinfn_lab must be listed as enabled. Then restart the server.'
          ),
          field: null
        };
      case 'unreachable':
        return {
          reason: 'unavailable',
          message: trans.__('The Jupyter server does not answer.'),
          hint: trans.__('Check the connection. This is tried again by itself.'),
          field: null
        };
    }
  }
  return {
    reason: 'internal',
    message: trans.__('Something unexpected happened in the page.'),
    hint: trans.__('Reload the page. The browser console says more.'),
    field: null
  };
}

/** What to say about a server half of another version; null if it is this one's. */
export function versionProblem(status: IStatus, trans: TranslationBundle): IProblem | null {
  if (status.version === VERSION) {
    return null;
  }
  return {
    reason: 'version',
    message: trans.__(
      'The page has version %1 of the batch extension, the server has %2.',
      VERSION,
      status.version
    ),
    hint: trans.__('Reload the page. If that does not help, restart the server.'),
    field: null
  };
}
