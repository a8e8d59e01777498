/**
 * The door of `policy/`: what people report to those who run the home, how policy servers are reached, and how often strangers
 * may invite. Spec: client-server-api §Reporting Content; server-server-api §Policy Servers.
 */
export { InviteThrottle } from './invite-throttle.ts'
export type { PolicyServers } from './policy-servers.ts'
export { createReports, type Reports } from './reports.ts'
