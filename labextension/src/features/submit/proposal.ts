/**
 * What the form begins with. Of each value the first that is there counts: what the person has typed, what the file's
 * header comments say, what was chosen for this file last time, what the session has, the platform's default. No React.
 */

import type { TranslationBundle } from '@jupyterlab/translation';

import { duration } from '../../core/format';
import type { IRemembered, ISelection } from '../../core/tokens';
import type { IChoice, IInspection, IPlatform, ISession } from '../../core/types';
import { CPU_ONLY, initial, offer, settle } from './choices';

/** Values to begin with, and what there is to say about them. */
export interface IProposal {
  selection: ISelection;
  /** Seconds; null: nobody said anything. */
  time: number | null;
  /** Empty: nobody said anything. */
  name: string;
  /** With commas between them. Empty: nobody said anything. */
  labels: string;
  /** What the header gives, in words: "T4, 2 h". */
  given: string;
  /** Sentences about values of the header that cannot be used, by their field. */
  notes: { [field: string]: string };
}

interface ISources {
  platform: IPlatform;
  session: ISession | null;
  inspection: IInspection | null;
  remembered: IRemembered | null;
  /** What the person has chosen in the form. */
  typed: Partial<ISelection>;
}

/** Make the proposal. */
export function propose(sources: ISources, trans: TranslationBundle): IProposal {
  const { platform, session, inspection, remembered, typed } = sources;
  const header = inspection?.header ?? {};
  const asked = fromHeader(header);
  const wanted = {
    ...initial(platform, session),
    ...remembered?.selection,
    ...asked,
    ...typed
  };
  fitQueue(platform, wanted, asked, typed);
  const selection = settle(platform, wanted);
  const time = seconds(header.time_limit);
  const notes: { [field: string]: string } = {};
  const file = inspection?.name ?? '';
  for (const field of FIELDS) {
    const value = header[field];
    if (field === 'count' && !selection.count) {
      // There is nothing to count.
      continue;
    }
    if (value !== undefined && !(field in typed) && String(selection[field]) !== value) {
      notes[field] = refusal(field, value, platform, selection, file, trans);
    }
  }
  if (header.time_limit !== undefined && time === null) {
    notes.time_limit = trans.__(
      'The header of %1 says time=%2, which is no duration; write for example 90m, 8h or 2d.',
      file,
      header.time_limit
    );
  }
  return {
    selection,
    time: time ?? remembered?.time ?? null,
    name: header.name ?? '',
    labels: (header.labels ?? '')
      .split(/\s*,\s*/)
      .filter(Boolean)
      .join(', '),
    given: words(header, notes, platform, time, trans),
    notes
  };
}

const FIELDS = ['project', 'accelerator', 'count', 'queue', 'image', 'size'] as const;

function fromHeader(header: IInspection['header']): Partial<ISelection> {
  const asked: Partial<ISelection> = {};
  for (const field of FIELDS) {
    if (header[field] === undefined) {
      continue;
    }
    if (field !== 'count') {
      asked[field] = header[field];
    } else if (/^\d{1,6}$/.test(header.count)) {
      asked.count = Number(header.count);
    }
  }
  return asked;
}

/** Let a queue that the header names be chosen, although nobody named an accelerator that it takes. */
function fitQueue(
  platform: IPlatform,
  wanted: ISelection,
  asked: Partial<ISelection>,
  typed: Partial<ISelection>
): void {
  const queue = platform.queues.find(item => item.name === asked.queue);
  const free = asked.accelerator === undefined && typed.accelerator === undefined;
  if (queue && free && typed.queue === undefined && queue.accelerators.length) {
    if (!queue.accelerators.includes(wanted.accelerator)) {
      wanted.accelerator = queue.accelerators.includes(CPU_ONLY) ? CPU_ONLY : queue.accelerators[0];
    }
  }
}

/** Why a value of the header is not the one that is chosen. */
function refusal(
  field: (typeof FIELDS)[number],
  value: string,
  platform: IPlatform,
  selection: ISelection,
  file: string,
  trans: TranslationBundle
): string {
  if (field === 'count') {
    const most = offer(platform, selection).maxCount;
    if (/^\d+$/.test(value) && most && Number(value) > most) {
      return trans.__(
        'The header of %1 asks for %2; a job may have %3 at most.',
        file,
        value,
        most
      );
    }
    return trans.__('The header of %1 says count=%2, which cannot be used here.', file, value);
  }
  const known = listOf(field, platform).find(item => item.name === value);
  return known
    ? trans.__(
        'The header of %1 asks for %2, which does not go with the other choices.',
        file,
        known.title
      )
    : trans.__('The header of %1 asks for %2, which you may not use.', file, value);
}

function listOf(field: Exclude<(typeof FIELDS)[number], 'count'>, platform: IPlatform): IChoice[] {
  switch (field) {
    case 'project':
      return platform.projects;
    case 'accelerator':
      return platform.accelerators;
    case 'queue':
      return platform.queues;
    case 'image':
      return platform.images;
    case 'size':
      return platform.sizes;
  }
}

/** What is taken from the header, in the order of the form. */
function words(
  header: IInspection['header'],
  notes: IProposal['notes'],
  platform: IPlatform,
  time: number | null,
  trans: TranslationBundle
): string {
  const said = FIELDS.filter(field => header[field] !== undefined && !(field in notes)).map(
    field =>
      field === 'count'
        ? trans.__('%1 of them', header.count)
        : header[field] === CPU_ONLY
          ? trans.__('CPU only')
          : (listOf(field, platform).find(item => item.name === header[field])?.title ?? '')
  );
  if (time !== null) {
    said.push(duration(time, trans));
  }
  if (header.name) {
    said.push(trans.__('the name “%1”', header.name));
  }
  if (header.labels) {
    said.push(trans.__('the labels %1', header.labels));
  }
  return said.filter(Boolean).join(', ');
}

/** Seconds of a duration as the platform reads it, such as `1h30m`; null if it is none. */
export function seconds(text: string | undefined): number | null {
  const match = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text ?? '');
  if (!match) {
    return null;
  }
  const [days, hours, minutes, rest] = match.slice(1).map(part => Number(part ?? 0));
  return ((days * 24 + hours) * 60 + minutes) * 60 + rest || null;
}
