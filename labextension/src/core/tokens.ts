/** Names that the parts of the extension share, and what they ask of each other; this module has no side effect. */

import type { MainAreaWidget } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { IRunningSessions } from '@jupyterlab/running';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import type { Api } from './api';
import type { Filter } from './status';
import type { BulkAction, IBulkResult, IJob, IJobChange, IPlatform, IStatus } from './types';

/** Translation domain. */
export const DOMAIN = 'aiinfn';

/** Ids of the plugins; inlined where they stand, as the page fetches all that is shared at its start. */
export const enum PluginIDs {
  /** The commands; the settings schema has its name. */
  commands = '@aiinfn/labextension:plugin',
  jobs = '@aiinfn/labextension:jobs',
  kernels = '@aiinfn/labextension:kernels',
  panel = '@aiinfn/labextension:panel',
  places = '@aiinfn/labextension:places',
  session = '@aiinfn/labextension:session'
}

/** Ids of the commands. */
export const enum CommandIDs {
  submit = 'aiinfn:submit',
  runFromHere = 'aiinfn:run-from-here',
  openJobs = 'aiinfn:open-jobs',
  openTab = 'aiinfn:open-tab',
  openOutput = 'aiinfn:open-output',
  cancel = 'aiinfn:cancel',
  sessionTime = 'aiinfn:session-time'
}

/** Id of the jobs panel's widget. */
export const PANEL_ID = 'aiinfn-jobs';

/** Id of the tab of a job; of the list if there is none. */
export function tabId(job: string): string {
  return `aiinfn-tab-${job}`;
}

/** A change of one job's state. */
export interface ITransition {
  job: IJob;
  /** The state before; undefined for a job that is new here. */
  before: IJob['state'] | undefined;
}

/** Whose jobs are looked for. */
export interface IWhose {
  owner?: string;
  project?: string;
}

/** The choices of a submission; names as the platform gives them. */
export interface ISelection {
  project: string;
  accelerator: string;
  count: number;
  queue: string;
  image: string;
  size: string;
}

/** What was chosen for a file when it was submitted last. */
export interface IRemembered {
  selection: Partial<ISelection>;
  /** Seconds. */
  time: number;
  /** Of a script: its arguments as they were typed. */
  line?: string;
  /** Of a folder: the file that ran, or the command. */
  program?: string;
  command?: string;
}

/** Remembers what was chosen for a file. */
export interface IMemory {
  recall(path: string): Promise<IRemembered | null>;
  keep(path: string, chosen: IRemembered | null): void;
}

/** The kernel and the cell that a job goes on from. */
export interface IOrigin {
  /** Id of the running kernel. */
  kernel: string;
  /** Index of the first cell that the job executes. */
  cell: number;
}

/** The jobs, kept up to date: of the signed-in person, and of their projects for a manager. */
export interface IJobsModel {
  /** Emitted when anything that is shown may have changed. */
  readonly changed: ISignal<IJobsModel, void>;
  /** Emitted for each change of a job's state that was noticed. */
  readonly transition: ISignal<IJobsModel, ITransition>;
  /** Whether a first page has arrived. */
  readonly loaded: boolean;
  /** What went wrong with the last reading, or null. */
  readonly error: unknown;
  /** When the list was last read, milliseconds since the epoch. */
  readonly readAt: number | null;
  /** Jobs that are not final, on all pages. */
  readonly active: number;
  /** What the server half said about itself. */
  readonly status: IStatus | null;
  readonly filter: Filter;
  /** What is typed into the search field. */
  readonly search: string;
  /** Whether only some jobs are looked for, by words, label, owner or project. */
  readonly searching: boolean;
  /** Whether a list is being read. */
  readonly busy: boolean;
  /** How far back the search has looked, if it has not reached the end. */
  readonly searchedTo: string | null;
  /** Whether there are more jobs than were fetched. */
  readonly hasMore: boolean;
  /** Jobs that pass filter and search, newest first; the same array until something changes. */
  list(): readonly IJob[];
  get(id: string): IJob | undefined;
  /** Jobs that are known, in no order. */
  known(): Iterable<IJob>;
  /** Take over what an answer says about one job. */
  merge(job: IJob): void;
  /** Say whether somebody looks at jobs, by one of the places that show them. */
  setVisible(visible: boolean, place?: object): void;
  setFilter(filter: Filter): Promise<void>;
  setSearch(typed: string): Promise<void>;
  setWhose(whose: IWhose): Promise<void>;
  /** Read now, whoever looks; never rejects, `error` says what happened. */
  refresh(): Promise<void>;
  /** Fetch the next page of what is shown. */
  more(): Promise<void>;
  /** Show a job, whatever filter and search hide, and however old it is. */
  reveal(id: string): Promise<void>;
  /** Wait for a job's end. */
  follow(id: string): void;
  edit(id: string, change: IJobChange): Promise<void>;
  bulk(
    action: BulkAction,
    ids: readonly string[],
    key: string,
    labels?: { add_labels?: string[]; remove_labels?: string[] }
  ): Promise<IBulkResult[]>;
}

/** The person's own jobs that are not over. */
export interface IOwnJobs {
  /** Emitted when anything of them may have changed. */
  readonly changed: ISignal<IOwnJobs, void>;
  /** The jobs, what runs first, then by their age. */
  readonly list: readonly IJob[];
  /** Whether they are counted while nobody looks; the status bar shows the count. */
  readonly counting: boolean;
  /** Read the list if it is older than some milliseconds; for a place that begins to be seen. */
  refresh(fresh?: number): void;
}

/** Everything that is done with jobs; what shows them asks nothing else. */
export interface IJobsService {
  readonly api: Api;
  readonly commands: CommandRegistry;
  readonly contents: Contents.IManager;
  readonly memory: IMemory;
  readonly model: IJobsModel;
  readonly own: IOwnJobs;
  readonly trans: TranslationBundle;
  /** What the caller may use, as it was last read. */
  readonly platform: IPlatform | null;
  /** Read what the caller may use, with what is free now. */
  readPlatform(): Promise<IPlatform>;
  /** Cancel a job, after a question if the settings say so. */
  cancel(id: string): Promise<void>;
  /** Cancel all of the person's own jobs; who calls this has asked already. */
  cancelAll(): Promise<void>;
  /**
   * Submit a job again, with its inputs as they were.
   *
   * @param points - Of a sweep: `all`, `failed`, or numbers separated by commas.
   */
  rerun(id: string, points?: string): Promise<IJob | null>;
  /**
   * Open the dialog for a file, for the rest of a notebook, or for a folder; resolves when it is closed.
   *
   * @param again - Filled in as this job was.
   */
  openSubmit(path: string, origin?: IOrigin, isFolder?: boolean, again?: IJob): Promise<void>;
  /** Open the dialog with the choices of a job, for its file or folder as it is now. */
  openAgain(job: IJob): Promise<void>;
  /** Open the dialog for the rest of a notebook, from its active cell on, or say why that cannot be. */
  runFromHere(panel?: NotebookPanel | null, cell?: HTMLElement | null): Promise<void>;
  /** Make the content of the jobs panel. */
  createPanel(): Promise<Widget>;
  /** Make the tab of a job, or of the list where no job is given. */
  createTab(job: string): Promise<MainAreaWidget>;
  /** The person's jobs as the panel of running sessions lists them. */
  runningItems(): IRunningSessions.IRunningItem[];
}

/** Everything behind the commands and the panel, loaded when it is first needed. */
export interface IJobs {
  /** Load it, or give what was loaded before. */
  load(): Promise<IJobsService>;
  /** Bring the jobs panel to the front; the panel's plugin sets it. */
  show: (job?: string) => void;
}

/** Token of `IJobs`. */
export const IJobs = new Token<IJobs>(
  '@aiinfn/labextension:IJobs',
  'The batch jobs of the signed-in person: submission, following, cancelling.'
);
