// The arrows between rooms and slices (style guide §1 and §2). A slice may use only slices below it, through their doors.
const rule = (name, from, to) => ({ name, severity: 'error', from, to })

// Highest first: a slice may use those after it, never those before.
const order = [
  'household',
  'gateways',
  'sync',
  'push',
  'search',
  'calls',
  'ephemeral',
  'rooms',
  'e2ee',
  'media',
  'policy',
  'appservices',
  'identity',
  'oauth',
  'accounts',
  'federation',
  'lan',
  'mail',
  'net',
  'store',
  'protocol',
]
const upward = order
  .slice(1)
  .map((slice, i) =>
    rule(
      `no-arrow-up-from-${slice}`,
      { path: `^server/${slice}/` },
      { path: `^server/(${order.slice(0, i + 1).join('|')}|app|api|http)/` },
    ),
  )

module.exports = {
  forbidden: [
    rule('no-cycles', {}, { circular: true }),
    rule('shared-stands-alone', { path: '^shared/' }, { path: '^(server|renderer|main|test)/' }),
    rule('shared-uses-no-node', { path: '^shared/' }, { dependencyTypes: ['core'] }),
    rule(
      'server-is-headless',
      { path: '^server/' },
      { path: '^(renderer|main)/|(^|node_modules/)(electron|vue|pinia)(/|$)' },
    ),
    rule('renderer-goes-by-http', { path: '^renderer/' }, { path: '^(server|main)/' }),
    rule('main-uses-the-door', { path: '^main/' }, { path: '^server/(?!index\\.ts$)' }),
    rule(
      'protocol-does-no-io',
      { path: '^server/protocol/' },
      { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    ),
    rule(
      'nedb-stays-in-the-store',
      { path: '^(server/(?!store/)|main|renderer|shared)' },
      { path: 'node_modules/(nedb-promises|@seald-io)' },
    ),
    rule(
      'sdk-stays-in-matrix',
      { path: '^renderer/(?!matrix/)' },
      { path: 'node_modules/(matrix-js-sdk|@matrix-org)' },
    ),
    rule(
      'slices-use-doors',
      { path: '^server/([^/]+)/' },
      { path: '^server/(?!app/|api/|http/|protocol/|observe/)([^/]+)/(?!index\\.ts$)', pathNot: '^server/$1/' },
    ),
    rule('koa-stays-at-the-edge', { path: '^server/(?!http/|app/|api/web/)' }, { path: 'node_modules/koa' }),
    rule('ui-knows-no-matrix', { path: '^renderer/ui/' }, { path: '^renderer/(?!ui/)' }),
    ...upward,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: ['.ts', '.vue', '.js'] },
  },
}
