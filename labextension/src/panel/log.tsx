/** The tail of a log as it grows. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { type FollowState, LogFollower } from '../logs';
import type { Runtime } from '../runtime';
import { explain } from '../words';

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

interface IView {
  text: string;
  state: FollowState;
  truncated: boolean;
  error: unknown;
}

export function Log({ runtime, id, name, over, attempt }: ILogProps): JSX.Element {
  const { trans } = runtime;
  const [whole, setWhole] = React.useState(false);
  const view = useFollower(runtime, id, attempt, whole);
  const box = React.useRef<HTMLPreElement>(null);
  const [pinned, setPinned] = React.useState(true);

  React.useLayoutEffect(() => {
    if (pinned && box.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [view.text, pinned]);

  const onScroll = () => {
    const node = box.current;
    if (node) {
      setPinned(node.scrollHeight - node.scrollTop - node.clientHeight < NEAR);
    }
  };

  return (
    <>
      {view.truncated && !whole && (
        <p className="aiinfn-Quiet">
          {trans.__('Only the end is shown.')}
          <button type="button" className="aiinfn-Link" onClick={() => setWhole(true)}>
            {trans.__('Show from the start')}
          </button>
        </p>
      )}
      {view.text && (
        <pre
          ref={box}
          className="aiinfn-Log"
          role="log"
          aria-live="off"
          aria-label={trans.__('Log of %1', name)}
          tabIndex={0}
          onScroll={onScroll}
        >
          {view.text}
        </pre>
      )}
      <p className="aiinfn-Quiet aiinfn-Log-foot">
        <span>{stateSentence(view, over, trans)}</span>
        {!pinned && (
          <button type="button" className="aiinfn-Link" onClick={() => setPinned(true)}>
            {trans.__('Go to the end')}
          </button>
        )}
      </p>
    </>
  );
}

function stateSentence(view: IView, over: boolean, trans: TranslationBundle): string {
  switch (view.state) {
    case 'connecting':
      return trans.__('Waiting for the first line…');
    case 'following':
      if (over) {
        return '';
      }
      return view.text ? trans.__('Following.') : trans.__('Nothing was printed yet.');
    case 'interrupted':
      return trans.__('The log broke off; it is continued as soon as the server answers.');
    case 'refused':
      return explain(view.error, trans).message;
    case 'ended':
      return view.text ? trans.__('End of the log.') : trans.__('Nothing was printed.');
  }
}

/** Follow while shown; renders at most every `PACE` milliseconds. */
function useFollower(runtime: Runtime, id: string, attempt: number, whole: boolean): IView {
  const [view, setView] = React.useState<IView>({
    text: '',
    state: 'connecting',
    truncated: false,
    error: null
  });
  React.useEffect(() => {
    const follower = new LogFollower(runtime.api, id, attempt, whole ? 0 : undefined);
    let timer = 0;
    const render = () => {
      timer = 0;
      const { text, state, truncated, error } = follower;
      setView({ text, state, truncated, error });
    };
    follower.changed.connect(() => {
      timer ||= window.setTimeout(render, PACE);
    });
    void follower.run();
    return () => {
      window.clearTimeout(timer);
      follower.dispose();
    };
  }, [runtime, id, attempt, whole]);
  return view;
}
