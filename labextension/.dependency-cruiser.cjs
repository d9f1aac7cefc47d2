// Which module may import which; type imports count. `jlpm lint:deps` checks it, `jlpm graph` draws it.

/** The modules of a feature that others may import, and which features may. */
const ENTRIES = [
  { feature: 'job-common', entries: 'log|run-with-changes', users: 'job-details|sweep' },
  { feature: 'job-details', entries: 'details', users: 'jobs-panel|shell-integration' },
  { feature: 'jobs-panel', entries: 'panel', users: 'shell-integration' },
  { feature: 'kernel-state', entries: 'carried|section', users: 'submit' },
  {
    feature: 'sweep',
    entries: 'bar|details|draft|editor',
    users: 'job-details|jobs-panel|shell-integration|submit'
  }
];

const allowed = ENTRIES.map(({ feature, entries, users }) => ({
  name: `${feature}-by-its-entries`,
  comment: `Of the feature ${feature}, others import ${entries} only.`,
  severity: 'error',
  from: { path: '^src/features/', pathNot: `^src/features/(${feature}|${users})/` },
  to: { path: `^src/features/${feature}/` }
}));

const inside = ENTRIES.map(({ feature, entries }) => ({
  name: `${feature}-inside`,
  comment: `What is behind the entries of the feature ${feature} is its own.`,
  severity: 'error',
  from: { path: '^src/features/', pathNot: `^src/features/${feature}/` },
  to: {
    path: `^src/features/${feature}/`,
    pathNot: `^src/features/${feature}/(${entries})\\.tsx?$`
  }
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Two modules that need each other are one, or a third one is missing.',
      severity: 'error',
      from: {},
      to: { circular: true }
    },
    {
      name: 'no-orphans',
      comment: 'Nobody imports this module.',
      severity: 'error',
      from: { orphan: true, pathNot: '\\.d\\.ts$' },
      to: {}
    },
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true }
    },
    {
      name: 'core-at-the-bottom',
      comment: 'core imports nothing of the extension but core.',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { path: '^src/', pathNot: '^src/core/' }
    },
    {
      name: 'services-on-core',
      comment: 'services import core and each other.',
      severity: 'error',
      from: { path: '^src/services/' },
      to: { path: '^src/', pathNot: '^src/(core|services)/' }
    },
    {
      name: 'services-without-react',
      comment: 'What is shown is a matter of the features.',
      severity: 'error',
      from: { path: '^src/services/' },
      to: { path: ['^src/core/ui/', '^react$', 'node_modules/react/'] }
    },
    {
      name: 'features-below-app',
      comment: 'Only index.ts imports app.ts, and nobody imports index.ts.',
      severity: 'error',
      from: { path: '^src/(core|services|features)/' },
      to: { path: '^src/[^/]+$' }
    },
    {
      name: 'features-independent',
      comment: 'These features are for the composition root only.',
      severity: 'error',
      from: { path: '^src/features/([^/]+)/' },
      to: {
        path: '^src/features/(session|shell-integration|submit)/',
        pathNot: '^src/features/$1/'
      }
    },
    ...allowed,
    ...inside
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '__tests__' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types']
    },
    reporterOptions: {
      dot: {
        collapsePattern: '^src/(core|services(/documents)?|features/[^/]+)|node_modules/[^/]+'
      }
    }
  }
};
