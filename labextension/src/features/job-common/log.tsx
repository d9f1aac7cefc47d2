/** A log as it grows: its end, earlier parts on demand, a search in what is loaded. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownEmptyThinIcon, caretUpEmptyThinIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { explain } from '../../core/errors';
import { useJobs } from '../../core/ui/context';
import { type IPart, LogFollower } from '../../services/log-stream';

/** Shortest time between two renderings, in milliseconds. */
const PACE = 120;
/** How near to its end a log must be to follow it, in pixels. */
const NEAR = 24;

interface ILogProps {
  /** The job. */
  id: string;
  name: string;
  /** Whether the job is over. */
  over: boolean;
  attempt: number;
}

export function Log({ id, name, over, attempt }: ILogProps): JSX.Element {
  const { trans, api } = useJobs();
  const follower = useFollower(id, attempt);
  const parts = follower.parts;
  const box = React.useRef<HTMLPreElement>(null);
  const input = React.useRef<HTMLInputElement>(null);
  const [pinned, setPinned] = React.useState(true);
  const [query, setQuery] = React.useState('');
  const [place, setPlace] = React.useState<IFound | null>(null);
  const [loading, setLoading] = React.useState(false);
  // Distance from the end of the log, which stays when earlier parts are put before it.
  const anchor = React.useRef<number | null>(null);

  const { found, more } = find(parts, query);
  const index = keepPlace(found, place);
  const current = index < 0 ? null : found[index];
  const last = parts.length ? parts[parts.length - 1].to : 0;

  // What somebody reads must not be taken away above the eyes.
  follower.trimming = pinned;

  React.useLayoutEffect(() => {
    const node = box.current;
    if (!node) {
      return;
    }
    if (anchor.current !== null) {
      node.scrollTop = node.scrollHeight - anchor.current;
      anchor.current = null;
    } else if (pinned) {
      node.scrollTop = node.scrollHeight;
    }
  }, [last, follower.start, parts.length, pinned]);

  React.useLayoutEffect(() => {
    const node = box.current;
    const mark = node?.querySelector<HTMLElement>('.aiinfn-mod-current');
    if (node && mark) {
      node.scrollTop = mark.offsetTop - node.clientHeight / 2;
    }
  }, [current?.part, current?.at, query]);

  const onScroll = () => {
    const node = box.current;
    if (node) {
      setPinned(node.scrollHeight - node.scrollTop - node.clientHeight < NEAR);
    }
  };

  const go = (step: number) => {
    if (found.length) {
      setPinned(false);
      setPlace(found[(index + step + found.length) % found.length]);
    }
  };

  const load = async (what: () => Promise<void>, keep: boolean) => {
    const node = box.current;
    setPinned(false);
    follower.trimming = false;
    setLoading(true);
    try {
      await what();
      if (node) {
        anchor.current = keep ? node.scrollHeight - node.scrollTop : node.scrollHeight * 1e3;
      }
    } catch {
      // The button is still there to be pressed again.
    } finally {
      setLoading(false);
    }
  };

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key.toLowerCase() === 'f' && (event.ctrlKey || event.metaKey) && !event.altKey) {
      event.preventDefault();
      event.stopPropagation();
      input.current?.select();
    }
  };

  return (
    <>
      {parts.length > 0 && (
        <SearchBar
          input={input}
          query={query}
          index={index}
          number={found.length}
          more={more}
          part={follower.truncated}
          trans={trans}
          onQuery={wanted => {
            setQuery(wanted);
            setPlace(null);
            setPinned(!wanted && pinned);
          }}
          onGo={go}
          onLeave={() => {
            setQuery('');
            box.current?.focus();
          }}
        />
      )}
      {follower.truncated && (
        <p className="aiinfn-Quiet aiinfn-Log-more">
          <span>
            {follower.mayLoadEarlier
              ? trans.__('Only the end is shown.')
              : trans.__('No more is shown here. Download has all of it.')}
          </span>
          {follower.mayLoadEarlier && (
            <>
              <button
                type="button"
                className="aiinfn-Link"
                disabled={loading}
                onClick={() => void load(() => follower.earlier(), true)}
              >
                {trans.__('Earlier')}
              </button>
              {!follower.hasBeginning && (
                <button
                  type="button"
                  className="aiinfn-Link"
                  disabled={loading}
                  onClick={() => void load(() => follower.beginning(), false)}
                >
                  {trans.__('Beginning')}
                </button>
              )}
            </>
          )}
        </p>
      )}
      {parts.length > 0 && (
        <pre
          ref={box}
          className="aiinfn-Log"
          role="log"
          aria-live="off"
          aria-label={trans.__('Log of %1', name)}
          tabIndex={0}
          onScroll={onScroll}
          onKeyDown={onKeyDown}
        >
          {parts.map((part, number) => (
            <React.Fragment key={part.from}>
              {number > 0 && parts[number - 1].to !== part.from && (
                <span className="aiinfn-Log-gap">{trans.__('What is between is not loaded.')}</span>
              )}
              <PartView
                part={part}
                found={found.filter(each => each.part === part.from)}
                current={current?.part === part.from ? current.at : -1}
              />
            </React.Fragment>
          ))}
        </pre>
      )}
      <p className="aiinfn-Quiet aiinfn-Log-foot">
        <span>{stateSentence(follower, parts.length > 0, over, trans)}</span>
        {parts.length > 0 && (
          <a
            href={api.logAddress(id, attempt)}
            download
            title={trans.__('Download the whole log of this attempt')}
          >
            {trans.__('Download')}
          </a>
        )}
        {!pinned && (
          <button
            type="button"
            className="aiinfn-Link"
            onClick={() => {
              setPlace(null);
              setPinned(true);
            }}
          >
            {trans.__('Go to the end')}
          </button>
        )}
      </p>
    </>
  );
}

interface IPartViewProps {
  part: IPart;
  found: readonly IFound[];
  /** Where the place that is gone to begins, or -1. */
  current: number;
}

/** Some lines, with what was found in them. They are many, and seldom change. */
const PartView = React.memo(
  function PartView({ part: { text }, found, current }: IPartViewProps): JSX.Element {
    if (!found.length) {
      return <span>{text}</span>;
    }
    const pieces: React.ReactNode[] = [];
    let end = 0;
    for (const { at, length } of found) {
      pieces.push(
        text.slice(end, at),
        <mark key={at} className={at === current ? 'aiinfn-mod-current' : undefined}>
          {text.slice(at, at + length)}
        </mark>
      );
      end = at + length;
    }
    pieces.push(text.slice(end));
    return <span>{pieces}</span>;
  },
  (before, after) =>
    before.part.text === after.part.text &&
    before.current === after.current &&
    before.found.length === after.found.length &&
    before.found.every(
      ({ at, length }, number) =>
        at === after.found[number].at && length === after.found[number].length
    )
);

function stateSentence(
  follower: LogFollower,
  some: boolean,
  over: boolean,
  trans: TranslationBundle
): string {
  switch (follower.state) {
    case 'connecting':
      return trans.__('Waiting for the first line…');
    case 'following':
      if (over) {
        return '';
      }
      return some ? trans.__('Following.') : trans.__('Nothing was printed yet.');
    case 'interrupted':
      return trans.__('The log broke off; it is continued as soon as the server answers.');
    case 'refused':
      return explain(follower.error, trans).message;
    case 'ended':
      return some ? trans.__('End of the log.') : trans.__('Nothing was printed.');
  }
}

/** Follow while shown; renders at most every `PACE` milliseconds. */
function useFollower(id: string, attempt: number): LogFollower {
  const { api } = useJobs();
  const [, render] = React.useReducer((count: number) => count + 1, 0);
  const follower = React.useMemo(() => new LogFollower(api, id, attempt), [api, id, attempt]);
  React.useEffect(() => {
    let timer = 0;
    follower.changed.connect(() => {
      timer ||= window.setTimeout(() => {
        timer = 0;
        render();
      }, PACE);
    });
    void follower.run();
    return () => {
      window.clearTimeout(timer);
      follower.dispose();
    };
  }, [follower]);
  return follower;
}

/** Places that are found at most: more help nobody, and each is an element of the page. */
export const MOST_FOUND = 1000;

/** A place in a part's text. */
export interface IFound {
  /** Position of the part, which is its identity. */
  readonly part: number;
  readonly at: number;
  readonly length: number;
}

/** Find a text, whatever its case; `more` if there are more places than are given. */
export function find(parts: readonly IPart[], wanted: string): { found: IFound[]; more: boolean } {
  const found: IFound[] = [];
  if (!wanted) {
    return { found, more: false };
  }
  const pattern = new RegExp(wanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'giu');
  for (const part of parts) {
    for (const match of part.text.matchAll(pattern)) {
      if (found.length === MOST_FOUND) {
        return { found, more: true };
      }
      found.push({ part: part.from, at: match.index, length: match[0].length });
    }
  }
  return { found, more: false };
}

/** The place to go to: the same one if it is still there, else the last, which is the newest. */
export function keepPlace(found: readonly IFound[], before: IFound | null): number {
  const index = found.findIndex(
    place => before !== null && place.part === before.part && place.at === before.at
  );
  return index >= 0 ? index : found.length - 1;
}

interface ISearchBarProps {
  input: React.RefObject<HTMLInputElement>;
  query: string;
  /** Of the place that is gone to, from 0. */
  index: number;
  /** Places found. */
  number: number;
  /** Whether there are more than were counted. */
  more: boolean;
  /** Whether only a part of the log is loaded. */
  part: boolean;
  trans: TranslationBundle;
  onQuery: (wanted: string) => void;
  onGo: (step: number) => void;
  onLeave: () => void;
}

export function SearchBar(props: ISearchBarProps): JSX.Element {
  const { query, index, number, more, part, trans, onGo } = props;
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'Enter') {
      event.preventDefault();
      onGo(event.shiftKey ? -1 : 1);
    } else if (event.key === 'Escape' && query) {
      event.preventDefault();
      event.stopPropagation();
      props.onLeave();
    }
  };
  const buttons = [
    { label: trans.__('Previous match'), step: -1, icon: caretUpEmptyThinIcon },
    { label: trans.__('Next match'), step: 1, icon: caretDownEmptyThinIcon }
  ];
  return (
    <div className="aiinfn-LogSearch">
      <input
        ref={props.input}
        type="search"
        className="jp-mod-styled"
        aria-label={trans.__('Search in the log')}
        placeholder={trans.__('Search in the log')}
        value={query}
        onChange={event => props.onQuery(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {query && (
        <>
          {buttons.map(({ label, step, icon }) => (
            <button
              key={step}
              type="button"
              className="jp-ToolbarButtonComponent"
              title={label}
              aria-label={label}
              disabled={!number}
              onClick={() => onGo(step)}
            >
              <icon.react tag="span" width="16px" height="16px" aria-hidden="true" />
            </button>
          ))}
        </>
      )}
      <span className="aiinfn-LogSearch-count" role="status">
        {query &&
          [counted(index, number, more, trans), part && where(trans)].filter(Boolean).join(' ')}
      </span>
    </div>
  );
}

function counted(index: number, number: number, more: boolean, trans: TranslationBundle): string {
  if (!number) {
    return trans.__('No match.');
  }
  return more
    ? trans.__('%1 of more than %2 matches.', index + 1, MOST_FOUND)
    : trans._n('%2 of %1 match.', '%2 of %1 matches.', number, index + 1);
}

function where(trans: TranslationBundle): string {
  return trans.__('Only what is loaded was searched.');
}
