/** Names that the parts of the extension share; this module has no side effect. */

import { Token } from '@lumino/coreutils';

import type { Runtime } from './runtime';

/** Version of this front end; it must be the Python package's. */
export const VERSION = '0.1.0';

/** Translation domain. */
export const DOMAIN = 'aiinfn';

/** Ids of the plugins. */
export namespace PluginIDs {
  /** The commands; the settings schema has its name. */
  export const commands = '@aiinfn/labextension:plugin';
  export const jobs = '@aiinfn/labextension:jobs';
  export const kernels = '@aiinfn/labextension:kernels';
  export const panel = '@aiinfn/labextension:panel';
  export const places = '@aiinfn/labextension:places';
  export const session = '@aiinfn/labextension:session';
}

/** Ids of the commands. */
export namespace CommandIDs {
  export const submit = 'aiinfn:submit';
  export const runFromHere = 'aiinfn:run-from-here';
  export const openJobs = 'aiinfn:open-jobs';
  export const openTab = 'aiinfn:open-tab';
  export const openOutput = 'aiinfn:open-output';
  export const cancel = 'aiinfn:cancel';
  export const sessionTime = 'aiinfn:session-time';
}

/** Id of the jobs panel's widget. */
export const PANEL_ID = 'aiinfn-jobs';

/** Id of the tab of a job; of the list if there is none. */
export function tabId(job: string): string {
  return `aiinfn-tab-${job}`;
}

/** Everything behind the commands and the panel, loaded when it is first needed. */
export interface IJobs {
  /** Load it, or give what was loaded before. */
  load(): Promise<Runtime>;
  /** Bring the jobs panel to the front; the panel's plugin sets it. */
  show: (job?: string) => void;
}

/** Token of `IJobs`. */
export const IJobs = new Token<IJobs>(
  '@aiinfn/labextension:IJobs',
  'The batch jobs of the signed-in person: submission, following, cancelling.'
);
