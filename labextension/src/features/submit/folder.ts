/** What runs of a folder that is submitted as a whole: a file of it, or a command. No React. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from '../../core/api';
import { explain } from '../../core/errors';
import type { IRemembered } from '../../core/tokens';
import type { IFolder, IInspection, IProblem, ISubmission } from '../../core/types';

interface IFolderOptions {
  api: Api;
  path: string;
  trans: TranslationBundle;
}

/** Of a folder: the file that runs, relative to it, or the command. */
export type IRuns = Pick<IRemembered, 'program' | 'command'>;

export class FolderDraft {
  constructor(private readonly _options: IFolderOptions) {}

  /** Emitted when another file was inspected, or could not be. */
  get inspected(): ISignal<this, IInspection | null> {
    return this._inspected;
  }

  /** What would be copied. */
  info: IFolder | null = null;
  way: 'file' | 'command' = 'file';
  /** The file that runs, relative to the folder; empty: none is chosen. */
  program = '';
  command = '';
  /** Why the chosen file cannot run. */
  problem: IProblem | null = null;
  /** Whether the answer about a chosen file is awaited. */
  pending = false;

  /** Read the folder, and propose what runs: as it was last time, or what is likely. */
  async load(remembered: IRuns | null): Promise<IInspection | null> {
    const info = await this._options.api.folder(this._options.path);
    this.info = info;
    const { program = '', command = '' } = remembered ?? {};
    this.program = info.programs.includes(program) ? program : (info.program ?? '');
    this.command = command || info.command;
    const known = program && this.program === program;
    this.way = command || (!known && !info.program && info.command) ? 'command' : 'file';
    if (!info.programs.length) {
      this.way = 'command';
    }
    return this.program ? this._inspect() : null;
  }

  /** Let another file run. */
  async choose(program: string): Promise<void> {
    this.program = program;
    this.pending = true;
    const found = await this._inspect();
    if (this.program === program) {
      this.pending = false;
      this._inspected.emit(found);
    }
  }

  /** The part of a submission that says what runs. */
  get body(): Pick<ISubmission, 'path' | 'folder' | 'command'> {
    const folder = this.info?.path ?? this._options.path;
    return this.way === 'command'
      ? { folder, command: this.command.trim() }
      : { path: `${folder}/${this.program}`, folder };
  }

  /** What to remember of it. */
  get chosen(): IRuns {
    return this.way === 'command' ? { command: this.command.trim() } : { program: this.program };
  }

  /** Sentences by the field that they are about. */
  get errors(): { [field: string]: string } {
    const { trans } = this._options;
    if (this.way === 'command') {
      return this.command.trim() ? {} : { command: trans.__('Write what is to run.') };
    }
    if (!this.program) {
      return { program: trans.__('Choose the file that is to run.') };
    }
    const { problem } = this;
    return problem ? { program: [problem.message, problem.hint].filter(Boolean).join(' ') } : {};
  }

  private async _inspect(): Promise<IInspection | null> {
    const { api, path, trans } = this._options;
    const { program } = this;
    let found: IInspection | null = null;
    let problem: IProblem | null = null;
    try {
      found = await api.inspect(`${this.info?.path ?? path}/${program}`);
      problem = found.problem;
    } catch (error) {
      problem = explain(error, trans);
    }
    if (this.program === program) {
      this.problem = problem;
    }
    return found;
  }

  private readonly _inspected = new Signal<this, IInspection | null>(this);
}
