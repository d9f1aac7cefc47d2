/**
 * What the server half sends, from the published description docs/api/lab.json: `jlpm generate` renews `api-schema.ts`.
 *
 * Optional here is what a vkd or server half of before may not send.
 */

import type { components } from './api-schema';

type Schemas = components['schemas'];

/**
 * A word of vkd, which may be newer than this page: those that are known here, or any other.
 *
 * What decides by such a word has a branch for the others, and shows them as they are.
 */
export type Open<Known extends string> = Known | (string & Record<never, never>);

export type JobState = Open<Schemas['JobState']>;

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What can stand in a cell of a table. */
export type Scalar = null | boolean | number | string;

/** Values of a point of a sweep, by parameter. */
export type Point = { [name: string]: Json };

/** Every error: one sentence, what to do, and the key of the request it is about. */
export type IProblem = Schemas['Problem'];

/** When the session ends, and whether that can be put off. */
export type ISessionTime = Schemas['SessionTime'];

export interface IWork extends Omit<Schemas['Work'], 'parameters' | Later> {
  parameters: Point;
  /** A folder that was submitted as a whole. */
  folder?: string | null;
  command?: string | null;
  /** Of a job that goes on from a session: the index of its first cell, and the file with the variables. */
  start_cell?: number | null;
  state?: string | null;
}

type Later = 'folder' | 'command' | 'start_cell' | 'state';

export type IJobError = Schemas['JobError'];

/** Points of a sweep by state; `points` is the sum of the others. */
export type ISweepProgress = Schemas['SweepProgress'];

/** A row in the table of a sweep. */
export interface ISweepPoint
  extends
    Omit<Schemas['LabSweepPoint'], 'parameters' | 'final' | keyof IMessageFacts>,
    IMessageFacts {
  parameters: Point;
  final?: boolean;
}

/** What a sentence is made of; the page shows the sentence. */
type IMessageFacts = Partial<Pick<Schemas['LabJob'], 'code' | 'facts'>>;

export interface IJob
  extends Omit<Schemas['LabJob'], 'work' | 'lab' | 'final' | keyof IMessageFacts>, IMessageFacts {
  work: IWork;
  /** It is over; what state that is, a page need not know. */
  final?: boolean;
  /** Added by the server half: paths that JupyterLab can open. */
  lab?: Omit<Schemas['LabFiles'], 'unreadable'> & {
    /** Why their folder could not be looked at; null if it could. */
    unreadable?: string | null;
  };
}

export interface IJobPage extends Omit<Schemas['LabJobPage'], 'jobs' | 'deleted' | 'searched_to'> {
  jobs: IJob[];
  /** Jobs deleted since; null: too many to tell. */
  deleted?: string[] | null;
  /** How far back a search has looked, if there is more to look through. */
  searched_to?: string | null;
}

/** What may be changed of a job. */
export type IJobChange = Partial<Schemas['JobChange']>;

/** What can be done with many jobs at once. */
export type BulkAction = Schemas['BulkRequest']['action'];

/** What became of one of many jobs. */
export interface IBulkResult extends Omit<Schemas['LabBulkResult'], 'job'> {
  job: IJob | null;
}

export interface IHistoryEntry extends Omit<Schemas['HistoryEntry'], 'startup'> {
  /** What happened while the attempt started that begins with it. */
  startup?: Schemas['StartupStep'][];
}

/** What a job used in one stretch of time. */
export type IResourcePoint = Schemas['ResourcePoint'];

/** What an attempt used of what it was granted. */
export type IResources = Schemas['Resources'];

export type IChoice = Schemas['Choice'];

export type ISize = Schemas['SizeChoice'];

export type IAvailability = Pick<
  Schemas['Availability'],
  'total' | 'free' | 'sessions' | 'batch' | 'offline' | 'queued'
>;

export interface IAccelerator extends Omit<
  Schemas['AcceleratorChoice'],
  'availability' | 'kind_title' | 'max_per_session'
> {
  availability: IAvailability;
}

export type IQueue = Omit<Schemas['QueueChoice'], 'priority'>;

export type IProject = Schemas['ProjectChoice'];

export interface IPlatform extends Omit<
  Schemas['PlatformView'],
  'accelerators' | 'queues' | 'projects' | 'backend' | 'keep_jobs' | 'max_pinned_jobs'
> {
  accelerators: IAccelerator[];
  projects: IProject[];
  queues: IQueue[];
  /** Seconds after its end after which a job is deleted. */
  keep_jobs?: number;
  max_pinned_jobs?: number;
}

export type ISession = Schemas['GrantedSession'];

export type IStatus = Schemas['Status'];

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
export type IFolder = Schemas['Folder'];

/** Something to know before submitting. */
export type ICheck = Schemas['Check'];

export interface IDryRun extends Omit<Schemas['DryRun'], 'checks'> {
  checks?: ICheck[];
}

/** A variable of a kernel. */
export type IVariable = Omit<Schemas['KernelVariable'], 'unsure' | 'gpu'>;

/** What of a kernel can go with a job. */
export type IKernelState = Omit<Schemas['KernelState'], 'variables'> & { variables: IVariable[] };

/** What a job goes on from. */
export type IFromHere = Required<Schemas['FromHere']>;

/** Answer of `POST check`. */
export interface IChecked extends Omit<Schemas['CheckedSubmission'], 'values'> {
  /** Parameters that are given, as Python will have them. */
  values?: { [name: string]: string };
}

type Sent = { [Key in keyof Schemas['Submission']]?: NonNullable<Schemas['Submission'][Key]> };

/** Body of a submission: a key that says nothing is left out. */
export interface ISubmission extends Omit<
  Sent,
  'parameters' | 'time_limit' | 'labels' | 'sweep' | 'from_here'
> {
  parameters?: { [name: string]: Json };
  time_limit?: number;
  labels?: string[];
  sweep?: { points: Point[]; parallelism: number };
  from_here?: IFromHere;
}
