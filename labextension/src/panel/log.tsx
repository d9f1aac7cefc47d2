/** A log as it grows: its end, earlier parts on demand, a search in what is loaded. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { type IPart, LogFollower } from '../logs';
import type { Runtime } from '../runtime';
import { explain } from '../words';
import { find, type IFound, keepPlace } from './search';
import { SearchBar } from './searchbar';

/** Shortest time between two renderings, in milliseconds. */
const PACE = 120;
/** How near to its end a log must be to follow it, in pixels. */
const NEAR = 24;

interface ILogProps {
  runtime: Runtime;
  /** The job. */
  id: string;
  name: string;
  /** Whether the job is over. */
  over: boolean;
  attempt: number;
}

export function Log({ runtime, id, name, over, attempt }: ILogProps): JSX.Element {
  const { trans, api } = runtime;
  const follower = useFollower(runtime, id, attempt);
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
function useFollower({ api }: Runtime, id: string, attempt: number): LogFollower {
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
