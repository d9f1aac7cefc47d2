const jestJupyterLab = require('@jupyterlab/testing/lib/jest-config');

const base = jestJupyterLab(__dirname);

// JupyterLab's packages and some of theirs are ES modules.
const esModules = ['@codemirror', '@jupyter', '@jupyterlab', '@marijn', '@microsoft', '@rjsf']
  .concat(['exenv-es6', 'lib0', 'nanoid', 'vscode-ws-jsonrpc', 'y-protocols', 'y-websocket', 'yjs'])
  .join('|');

module.exports = {
  ...base,
  reporters: ['default'],
  modulePathIgnorePatterns: ['<rootDir>/lib/', '<rootDir>/../aiinfn_lab/'],
  testRegex: 'src/__tests__/.*\\.spec\\.tsx?$',
  transformIgnorePatterns: [`/node_modules/(?!${esModules}).+`]
};
