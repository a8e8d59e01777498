/**
 * The door of `policy/`: what people report to those who run the home, and how policy servers are reached.
 * Spec: client-server-api §Reporting Content; server-server-api §Policy Servers.
 */
export type { PolicyServers } from './policy-servers.ts'
export { createReports, type Reports } from './reports.ts'
