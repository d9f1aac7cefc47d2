/** What is typed into the search field: words, and `label:`, `owner:` and `project:` before a name. Pure functions. */

import type { ISearch } from '../core/api';
import type { IJob } from '../core/types';

const KEYS = ['label', 'owner', 'project'] as const;
const ERROR_CHARACTERS = 400;

/** Read what was typed. */
export function parse(typed: string): ISearch {
  const found: ISearch = {};
  const words: string[] = [];
  for (const word of typed.split(/\s+/).filter(Boolean)) {
    const key = KEYS.find(one => word.startsWith(`${one}:`));
    const value = key && word.slice(key.length + 1);
    if (key && !value) {
      // It is still being typed.
      continue;
    }
    if (key && value && found[key] === undefined) {
      found[key] = key === 'label' ? value.toLowerCase() : value;
    } else {
      words.push(value || word);
    }
  }
  if (words.length) {
    found.search = words.join(' ');
  }
  return found;
}

/**
 * Return the form in which vkd compares a text: small letters, no accents, single spaces.
 *
 * As there, the steps are repeated until nothing changes. Capital letters first, because JavaScript has no case folding:
 * it makes ss of ß.
 */
export function fold(text: string): string {
  for (;;) {
    const folded = text
      .toUpperCase()
      .toLowerCase()
      .replace(/ς/g, 'σ')
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .split(/\s+/)
      .filter(Boolean)
      .join(' ');
    if (folded === text) {
      return folded;
    }
    text = folded;
  }
}

const texts = new WeakMap<IJob, string>();

function textOf(job: IJob): string {
  let text = texts.get(job);
  if (text === undefined) {
    const { error } = job;
    text = [
      job.id,
      job.name,
      job.work.path,
      ...job.labels,
      error ? `${error.name} ${error.message.slice(0, ERROR_CHARACTERS)}` : ''
    ]
      .map(fold)
      .join('\n');
    texts.set(job, text);
  }
  return text;
}

/** Whether vkd would find a job that is known here: for those that change or begin while a search is shown. */
export function matches(job: IJob, { search, label, owner, project }: ISearch): boolean {
  return (
    (owner === undefined || job.owner === owner) &&
    (project === undefined || job.project === project) &&
    (label === undefined || job.labels.includes(label)) &&
    (search === undefined ||
      fold(search)
        .split(' ')
        .every(word => textOf(job).includes(word)))
  );
}
