/** The choice of what runs in a folder; loaded when a folder is first submitted. */

import * as React from 'react';

import { Field, Select } from '../../core/ui/field';
import { Switch } from '../../core/ui/switch';
import type { FolderDraft } from './folder';
import type { SubmitForm } from './form';

interface IProgramProps {
  form: SubmitForm;
  folder: FolderDraft;
  errors: { [field: string]: string };
  notes: { [field: string]: string };
}

export default function Program({ form, folder, errors, notes }: IProgramProps): JSX.Element {
  const { trans } = form;
  const programs = folder.info?.programs ?? [];
  return (
    <div className="aiinfn-Program">
      {programs.length > 0 && (
        <Switch
          name="program"
          legend={trans.__('What runs')}
          value={folder.way}
          choices={[
            { value: 'file', title: trans.__('A file') },
            { value: 'command', title: trans.__('A command') }
          ]}
          onChange={way => form.run({ way })}
        />
      )}
      {folder.way === 'file' ? (
        <Field
          field="program"
          label={trans.__('File')}
          error={errors.program}
          note={notes.program}
          hint={trans.__('It runs in a copy of the folder, at the place where it is.')}
        >
          {control => (
            <Select
              {...control}
              value={folder.program}
              choices={[
                ...(folder.program ? [] : [{ name: '', title: trans.__('Choose a file') }]),
                ...programs.map(name => ({ name, title: name }))
              ]}
              onChange={program => form.run({ program })}
            />
          )}
        </Field>
      ) : (
        <Field
          field="command"
          label={trans.__('Command')}
          error={errors.command}
          note={notes.command}
          hint={trans.__('bash runs it at the top of a copy of the folder.')}
        >
          {control => (
            <input
              {...control}
              className="jp-mod-styled aiinfn-mod-code"
              type="text"
              autoComplete="off"
              autoCapitalize="off"
              spellCheck={false}
              maxLength={4096}
              value={folder.command}
              placeholder={trans.__('e.g. %1', 'python train.py --epochs 5 | tee log.txt')}
              onChange={event => form.run({ command: event.target.value })}
            />
          )}
        </Field>
      )}
    </div>
  );
}
