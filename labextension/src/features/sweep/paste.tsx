/** A table of points: pasted, or from a CSV file of the home. */

import { PathExt } from '@jupyterlab/coreutils';
import * as React from 'react';

import type { IInspection } from '../../core/types';
import { useJobs } from '../../core/ui/context';
import { Field, SuggestedInput } from '../../core/ui/field';
import type { SweepDraft } from './draft';

/** Larger than any table of a thousand points; in bytes. */
const LARGEST = 2_000_000;
const SUGGESTED = /\.(csv|tsv|txt)$/i;

interface ITableProps {
  sweep: SweepDraft;
  /** Of the file that is submitted. */
  path: string;
  inspection: IInspection;
  error?: string;
}

export function Table({ sweep, path, inspection, error }: ITableProps): JSX.Element {
  const { trans } = useJobs();
  const known = inspection.parameters.map(parameter => parameter.name).slice(0, 2);
  const names = known.length > 1 ? known : ['lr', 'seed'];
  return (
    <>
      <CsvFile sweep={sweep} path={path} />
      <Field
        field="sweep"
        label={trans.__('Table')}
        error={error}
        hint={
          inspection.kind === 'notebook'
            ? trans.__(
                'Names of parameters in the first line, a point in each further line. Others keep the notebook’s own value.'
              )
            : trans.__(
                'Names in the first line, a point in each further line. The script gets %1.',
                '--name=value'
              )
        }
      >
        {control => (
          <textarea
            {...control}
            className="jp-mod-styled aiinfn-Paste"
            rows={6}
            autoComplete="off"
            spellCheck={false}
            value={sweep.table}
            placeholder={`${names.join(',')}\n0.1,1\n0.2,2`}
            onChange={event => sweep.set({ table: event.target.value })}
          />
        )}
      </Field>
    </>
  );
}

/** Reads a file of the home into the table. */
function CsvFile({ sweep, path: file }: Pick<ITableProps, 'sweep' | 'path'>): JSX.Element {
  const { contents, trans } = useJobs();
  const [path, setPath] = React.useState('');
  const [error, setError] = React.useState('');
  const [busy, setBusy] = React.useState(false);
  const suggested = useSuggestions(file);
  const read = async () => {
    setBusy(true);
    setError('');
    try {
      const about = await contents.get(path.trim(), { content: false });
      if (about.type === 'directory' || (about.size ?? 0) > LARGEST) {
        setError(trans.__('This is no table: choose a text file of at most 2 MB.'));
        return;
      }
      const model = await contents.get(path.trim(), {
        type: 'file',
        format: 'text',
        content: true
      });
      sweep.set({ table: String(model.content) });
    } catch {
      setError(
        trans.__('This file cannot be read as text. Check its name, as in the file browser.')
      );
    } finally {
      setBusy(false);
    }
  };
  return (
    <Field field="csv" label={trans.__('CSV file')} error={error}>
      {control => (
        <div className="aiinfn-CsvFile">
          <SuggestedInput
            {...control}
            suggested={suggested}
            data-enter="own"
            value={path}
            placeholder={suggested[0] ?? trans.__('e.g. %1', 'work/points.csv')}
            onChange={event => setPath(event.target.value)}
            onKeyDown={event => {
              if (event.key === 'Enter' && path.trim()) {
                event.preventDefault();
                void read();
              }
            }}
          />
          <button
            type="button"
            className="jp-mod-styled"
            disabled={busy || !path.trim()}
            onClick={() => void read()}
          >
            {trans.__('Read')}
          </button>
        </div>
      )}
    </Field>
  );
}

/** Tables in the folder of the file, then those in the home itself. */
function useSuggestions(path: string): string[] {
  const { contents } = useJobs();
  const [found, setFound] = React.useState<string[]>([]);
  React.useEffect(() => {
    let current = true;
    const look = async (folder: string): Promise<string[]> => {
      const model = await contents.get(folder, { type: 'directory', content: true });
      return (model.content as { type: string; path: string; name: string }[])
        .filter(item => item.type === 'file' && SUGGESTED.test(item.name))
        .map(item => item.path);
    };
    const folders = [...new Set([PathExt.dirname(path), ''])];
    void Promise.all(folders.map(folder => look(folder).catch(() => []))).then(lists => {
      if (current) {
        setFound(lists.flat());
      }
    });
    return () => {
      current = false;
    };
  }, [contents, path]);
  return found;
}
