/** The door of `policy/`: what people report to those who run the home. Spec: client-server-api §Reporting Content. */
export { createReports, type Report, type Reports, type ReportWish } from './reports.ts'
