/** What the server half sends: the models of `aiinfn_hub/contract/jobs.py` and of docs/lab-api.md. */

/**
 * A word of vkd, which may be newer than this page: those that are known here, or any other.
 *
 * What decides by such a word has a branch for the others, and shows them as they are.
 */
export type Open<Known extends string> = Known | (string & Record<never, never>);

export type JobState = Open<
  'queued' | 'starting' | 'running' | 'succeeded' | 'failed' | 'cancelled'
>;

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What can stand in a cell of a table. */
export type Scalar = null | boolean | number | string;

/** Values of a point of a sweep, by parameter. */
export type Point = { [name: string]: Json };

/** Every error: one sentence, what to do, and the key of the request it is about. */
export interface IProblem {
  reason: string;
  message: string;
  hint: string;
  field: string | null;
}

/** When the session ends, and whether that can be put off. */
export interface ISessionTime {
  /** The hub's clock. */
  now: string;
  end: string;
  /** Seconds before the end, the larger first. */
  warnings: number[];
  extends_at: string | null;
  extensions_left: number;
  /** What an extension would give now. */
  extension: { end: string; seconds: number } | null;
  /** Why there is none now. */
  refusal: IProblem | null;
}

export interface IWork {
  kind: Open<'notebook' | 'script' | 'command'>;
  path: string;
  snapshot: string;
  /** A folder that was submitted as a whole. */
  folder?: string | null;
  command?: string | null;
  kernel: string | null;
  parameters: { [name: string]: Json };
  arguments: string[];
  /** Of a job that goes on from a session: the index of its first cell, and the file with the variables. */
  start_cell?: number | null;
  state?: string | null;
}

export interface IJobError {
  name: string;
  message: string;
  cell: number | null;
  traceback: string;
}

/** Points of a sweep by state; `points` is the sum of the others. */
export interface ISweepProgress {
  points: number;
  /** Points in the queue or running at a time. */
  at_most: number;
  waiting: number;
  starting: number;
  running: number;
  succeeded: number;
  failed: number;
  cancelled: number;
}

/** A row in the table of a sweep. */
export interface ISweepPoint {
  /** From 1. */
  point: number;
  /** The job that ran it last. */
  job: string;
  state: JobState;
  sentence: string;
  parameters: Point;
  values: { [name: string]: Scalar };
  attempt: number;
  started: string | null;
  ended: string | null;
  output: string;
  /** It is a result of the sweep that this one runs again in part. */
  carried: boolean;
  /** Added by the server half: the result as JupyterLab can open it. */
  lab_output: string | null;
}

export interface IJob {
  id: string;
  name: string;
  owner: string;
  project: string;
  queue: string;
  state: JobState;
  cause: string;
  sentence: string;
  position: number | null;
  accelerator: string;
  accelerator_title: string;
  simulated: boolean;
  count: number;
  image: string;
  size: string;
  priority: number;
  /** Seconds. */
  time_limit: number;
  work: IWork;
  output: string;
  attempt: number;
  preemptions: number;
  progress: { cell: number; cells: number } | null;
  error: IJobError | null;
  exit_code: number | null;
  created: string;
  started: string | null;
  ended: string | null;
  updated: string;
  rerun_of: string | null;
  /** Only of a sweep. */
  sweep: ISweepProgress | null;
  /** Only of a point: its sweep, and its number from 1. */
  sweep_of: string | null;
  point: number | null;
  /** What it recorded by `aiinfn_lab.record`. */
  values: { [name: string]: Scalar };
  labels: string[];
  /** Kept whatever its age. */
  pinned: boolean;
  /** When it is deleted by itself. */
  kept_until: string | null;
  actions: string[];
  /** Added by the server half: paths that JupyterLab can open. */
  lab?: {
    input: string | null;
    output: string | null;
    input_exists: boolean;
    output_exists: boolean;
    /** Why their folder could not be looked at; null if it could. Missing from an older server half. */
    unreadable?: string | null;
  };
}

export interface IJobPage {
  jobs: IJob[];
  next: string | null;
  updated_through: number;
  active: number;
  /** Jobs deleted since; null: too many to tell. */
  deleted?: string[] | null;
  /** How far back a search has looked, if there is more to look through. */
  searched_to?: string | null;
}

/** What may be changed of a job. */
export interface IJobChange {
  name?: string;
  labels?: string[];
  pinned?: boolean;
}

/** What can be done with many jobs at once. */
export type BulkAction = 'cancel' | 'rerun' | 'delete' | 'label';

/** What became of one of many jobs. */
export interface IBulkResult {
  id: string;
  job: IJob | null;
  problem: IProblem | null;
}

export interface IHistoryEntry {
  time: string;
  state: JobState;
  cause: string;
  attempt: number;
  message: string;
  /** What happened while the attempt started that begins with it. */
  startup?: { time: string; message: string }[];
}

/** What a job used in one stretch of time. */
export interface IResourcePoint {
  /** End of the stretch, in seconds since the attempt began. */
  time: number;
  /** Cores kept busy, on average. */
  cores: number;
  /** Bytes. */
  memory: number;
  /** Per cent of the time in which its accelerators computed. */
  busy: number | null;
  accelerator_memory: number | null;
}

/** What an attempt used of what it was granted. */
export interface IResources {
  attempt: number;
  over: boolean;
  cores: number;
  memory: number;
  accelerator: string;
  accelerator_title: string;
  accelerator_memory: number | null;
  count: number;
  simulated: boolean;
  points: IResourcePoint[];
  sentences: string[];
  advice: string[];
}

export interface IChoice {
  name: string;
  title: string;
  description: string;
}

export interface ISize extends IChoice {
  cores: number;
  memory: string;
}

export interface IAvailability {
  total: number;
  free: number;
  sessions: number;
  batch: number;
  offline: number;
  queued: number;
}

export interface IAccelerator extends IChoice {
  kind: Open<'gpu' | 'mig' | 'fpga'>;
  memory: string | null;
  max_per_job: number;
  simulated: boolean;
  projects: string[];
  images: string[];
  availability: IAvailability;
}

export interface IQueue extends IChoice {
  projects: string[];
  accelerators: string[];
  max_time: number;
  waiting: number;
  running: number;
}

export interface IProject extends IChoice {
  manager: boolean;
  sizes: string[];
  images: string[];
  accelerators: string[];
}

export interface IPlatform {
  title: string;
  version: string;
  person: string;
  admin: boolean;
  accelerators: IAccelerator[];
  images: IChoice[];
  sizes: ISize[];
  projects: IProject[];
  queues: IQueue[];
  job_default_time: number;
  /** Seconds after its end after which a job is deleted. */
  keep_jobs?: number;
  pinned_jobs?: number;
  poll_seconds: number;
  read_at: string;
  age: number;
}

export interface ISession {
  project: string | null;
  accelerator: string | null;
  count: number | null;
  image: string | null;
  size: string | null;
  end: string | null;
}

export interface IStatus {
  version: string;
  contract: string;
  vkd: 'ok' | 'unavailable';
  message: string;
  hint: string;
  root: string;
  root_in_home: boolean;
  session: ISession;
}

export type ParameterType = 'bool' | 'int' | 'float' | 'str' | 'none' | 'list' | 'dict' | 'unknown';

export interface IParameter {
  name: string;
  type: ParameterType;
  default: Json;
  source: string;
  help: string;
}

/** What would be submitted, read from the file on disk. */
export interface IInspection {
  path: string;
  name: string;
  kind: 'notebook' | 'script';
  size: number;
  modified: string;
  language: string;
  kernel: { name: string; title: string; available: boolean } | null;
  cells: number | null;
  code_cells: number | null;
  parameters: IParameter[];
  parameters_note: string;
  /** What its header comments (`# AIINFN accelerator=t4`) say, as written: keys of a submission. */
  header: { [key: string]: string };
  /** Why they cannot be read. */
  header_problem: IProblem | null;
  problem: IProblem | null;
}

/** What of a folder would be copied, and what in it can run. */
export interface IFolder {
  path: string;
  name: string;
  files: number;
  /** Bytes. */
  size: number;
  left_out: string[];
  /** What is too large to be copied; the size is null where it is not known. */
  linked: { path: string; size: number | null }[];
  /** Notebooks and scripts, relative to the folder. */
  programs: string[];
  /** The one that is probably meant. */
  program: string | null;
  /** A command that is probably meant, or empty. */
  command: string;
  sentence: string;
}

/** Something to know before submitting. */
export interface ICheck {
  what: string;
  verdict: Open<'ok' | 'notice' | 'problem'>;
  sentence: string;
  hint: string;
  field: string | null;
}

export interface IDryRun {
  sentence: string;
  ahead: number;
  checks?: ICheck[];
}

/** A variable of a kernel. */
export interface IVariable {
  name: string;
  type: string;
  /** Bytes in the file; null for one that cannot be carried. */
  size: number | null;
  /** Of these bytes, what other variables have as well: pairs of a number for the data, and bytes. */
  shared: [number, number][];
  /** Whether it is a function or a class. */
  code: boolean;
  /** Whether the cells that remain seem to use it. */
  used: boolean;
  /** Why it cannot be carried; else empty. */
  reason: string;
  /** Whether it is carried unless the person wants otherwise. */
  carried: boolean;
}

/** What of a kernel can go with a job. */
export interface IKernelState {
  cell: number;
  cells: number;
  code_cells: number;
  variables: IVariable[];
  modules: string[];
  python: string;
  /** Bytes. */
  limit: number;
  free: number | null;
  notes: { verdict: string; sentence: string; hint: string }[];
}

/** What a job goes on from. */
export interface IFromHere {
  kernel: string;
  cell: number;
  leave_out: string[];
}

/** Answer of `POST check`. */
export interface IChecked {
  sentence: string;
  ahead: number | null;
  /** What a submission would be refused with. */
  problem: IProblem | null;
  checks: ICheck[];
  /** Parameters that are given, as Python will have them. */
  values?: { [name: string]: string };
}

/** Body of a submission. */
export interface ISubmission {
  /** Of a command there is none. */
  path?: string;
  folder?: string;
  command?: string;
  parameters?: { [name: string]: Json };
  /** What was typed for parameters; the server reads it. */
  typed?: { [name: string]: string };
  /** Submit it although something was found that is sure to fail. */
  anyway?: boolean;
  arguments?: string[];
  name?: string;
  project?: string;
  queue?: string;
  accelerator?: string;
  count?: number;
  image?: string;
  size?: string;
  time_limit?: number;
  labels?: string[];
  sweep?: { points: Point[]; at_most: number };
  from_here?: IFromHere;
}
