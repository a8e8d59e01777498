/** The door of `household/`: the home as a whole, its name, and who took it into use. */
export { createHousehold, type Household } from './create-household.ts'
