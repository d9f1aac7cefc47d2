/** One of a few choices, all in sight. */

import * as React from 'react';

interface ISwitchProps<T extends string> {
  name: string;
  legend: string;
  value: T;
  choices: { value: T; title: string }[];
  onChange: (value: T) => void;
}

export function Switch<T extends string>(props: ISwitchProps<T>): JSX.Element {
  const { name, legend, value, choices, onChange } = props;
  return (
    <fieldset className="aiinfn-Switch">
      <legend>{legend}</legend>
      <div className="aiinfn-Switch-choices">
        {choices.map(choice => (
          <label
            key={choice.value}
            className={choice.value === value ? 'aiinfn-mod-checked' : undefined}
          >
            <input
              type="radio"
              name={`aiinfn-${name}`}
              checked={choice.value === value}
              onChange={() => onChange(choice.value)}
            />
            {choice.title}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
