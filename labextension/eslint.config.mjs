import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import prettierRecommended from 'eslint-plugin-prettier/recommended';
import globals from 'globals';
import tseslint from 'typescript-eslint';

// Every rule of Jupyter's plugin that is about plugins, commands, translation and disposal is an error here.
const jupyterRules = [
  'plugin-activation-args',
  'plugin-description',
  'plugin-id-convention',
  'token-format',
  'command-id-convention',
  'command-described-by',
  'no-untranslated-string',
  'no-translation-concatenation',
  'no-dynamic-translation',
  'incorrect-translator-usage',
  'no-pageconfig-base-url',
  'prefer-lazy-imports',
  'require-signal-cleanup',
  'require-signal-this-arg',
  'prefer-signal-this-arg',
  'require-disposable-ownership',
  'require-disposable-transfer'
];

export default tseslint.config(
  {
    ignores: [
      'node_modules',
      'lib',
      'coverage',
      '**/*.js',
      '**/*.cjs',
      '**/*.d.ts',
      '**/*.mjs',
      'src/core/api-schema.ts'
    ]
  },
  { plugins: { jupyter } },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  ...[jupyter.configs.recommended].flat(),
  {
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    languageOptions: {
      globals: { ...globals.browser, ...globals.es2021 },
      parserOptions: { project: 'tsconfig.test.json', tsconfigRootDir: import.meta.dirname }
    },
    rules: {
      ...Object.fromEntries(jupyterRules.map(name => [`jupyter/${name}`, 'error'])),
      // Commands are registered at start-up; what they do is loaded by them.
      'jupyter/prefer-lazy-imports': [
        'error',
        { ignoreImports: ['./features/shell-integration/commands'] }
      ],
      '@typescript-eslint/naming-convention': [
        'error',
        { selector: 'interface', format: ['PascalCase'], custom: { regex: '^I[A-Z]', match: true } }
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-namespace': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { args: 'none' }],
      curly: ['error', 'all'],
      eqeqeq: 'error',
      'no-console': ['error', { allow: ['warn', 'error'] }],
      // Style that comes with one window changes the look of what was opened before it: core/ui/components.tsx has it all.
      'no-restricted-imports': ['error', { patterns: ['**/*.css'] }],
      'prefer-arrow-callback': 'error'
    }
  },
  { files: ['src/core/ui/components.tsx'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['src/__tests__/**'],
    rules: {
      'jupyter/no-untranslated-string': 'off',
      'jupyter/require-disposable-ownership': 'off'
    }
  },
  { files: ['schema/*.json'], rules: { 'jupyter/no-schema-enum': 'error' } },
  prettierRecommended
);
