/** The rows of the benchmark, a column for each server, in the order in which they were first set. */
export class Table {
  readonly #columns = new Map<string, Map<string, string>>()
  readonly #targets = new Map<string, string>()

  set(server: string, row: string, value: string): void {
    const column = this.#columns.get(server) ?? new Map<string, string>()
    this.#columns.set(server, column)
    column.set(row, value)
  }

  /** The most that Hearth may use. */
  target(row: string, value: string): void {
    this.#targets.set(row, value)
  }

  /** As Markdown. */
  toString(): string {
    const servers = [...this.#columns.keys()]
    const rows = new Set([...this.#columns.values()].flatMap((column) => [...column.keys()]))
    return [
      `| | ${servers.join(' | ')} | Hearth: at most |`,
      `|---|${servers.map(() => '---').join('|')}|---|`,
      ...[...rows].map((row) => {
        const values = servers.map((server) => this.#columns.get(server)?.get(row) ?? '–')
        return `| ${row} | ${values.join(' | ')} | ${this.#targets.get(row) ?? ''} |`
      }),
    ].join('\n')
  }
}

export function show(n: number): string {
  return n >= 10 ? n.toFixed(0) : n.toFixed(2)
}
