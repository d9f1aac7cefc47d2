/** The line above a log in which one searches it. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownEmptyThinIcon, caretUpEmptyThinIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { MOST_FOUND } from './search';

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
