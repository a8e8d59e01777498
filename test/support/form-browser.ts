/** A browser without scripts: it keeps cookies, follows redirects within one server, and sends the forms of the pages it gets. */
import { parseHTML } from 'linkedom'

export interface Page {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly html: string
  /** All that a person reads. */
  readonly text: string
  readonly title: string
  /** Where the server sent the browser, if that is outside of the server. */
  readonly leftFor: URL | undefined
}

export interface FormBrowser {
  get(pathOrUrl: string, headers?: Readonly<Record<string, string>>): Promise<Page>
  /**
   * Sends a form of the newest page.
   * @param action what the path of the form's action ends with
   * @param fields fields that the person fills in, and the button pressed
   */
  submit(action: string, fields?: Readonly<Record<string, string>>): Promise<Page>
  /** Sends what no page has offered. */
  post(
    path: string,
    fields: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Page>
  readonly cookies: Map<string, string>
}

export function formBrowser(baseUrl: string, language = 'en'): FormBrowser {
  const cookies = new Map<string, string>()
  let current: Page | undefined

  async function load(target: URL, init: RequestInit): Promise<Page> {
    let url = target
    let options = init
    for (let hops = 0; hops < 10; hops += 1) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(url, {
        ...options,
        redirect: 'manual',
        headers: { 'accept-language': language, ...(cookie && { cookie }), ...(options.headers as object) },
      })
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        cookies.set(name, value)
      }
      const location = response.headers.get('location')
      const next = location === null ? undefined : new URL(location, url)
      if (next?.origin === url.origin) {
        await response.arrayBuffer()
        url = next
        options = {}
        continue
      }
      current = pageOf(url, response, await response.text(), next)
      return current
    }
    throw new Error('redirected in a circle')
  }

  const send = (
    path: string,
    fields: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ) =>
    load(new URL(path, baseUrl), {
      method: 'POST',
      body: new URLSearchParams(fields).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    })

  return {
    cookies,
    get: (path, headers = {}) => load(new URL(path, baseUrl), { headers: { ...headers } }),
    post: send,
    submit(action, fields = {}) {
      const { document } = parseHTML(current?.html ?? '')
      const form = [...document.querySelectorAll('form')].find((one) =>
        new URL(one.getAttribute('action') ?? '', baseUrl).pathname.endsWith(action),
      )
      if (!form) throw new Error(`the page has no form for ${action}: ${current?.text}`)
      const all: Record<string, string> = {}
      for (const input of form.querySelectorAll('input')) {
        const name = input.getAttribute('name')
        if (name && input.getAttribute('type') !== 'checkbox') all[name] = input.getAttribute('value') ?? ''
      }
      const filled = { ...all, ...fields }
      const path = form.getAttribute('action') ?? ''
      return form.getAttribute('method') === 'get'
        ? load(new URL(`${path}?${new URLSearchParams(filled)}`, baseUrl), {})
        : send(path, filled)
    },
  }
}

function pageOf(url: URL, response: Response, html: string, leftFor: URL | undefined): Page {
  const { document } = parseHTML(html || '<html></html>')
  return {
    url: url.href,
    status: response.status,
    headers: response.headers,
    html,
    text: document.querySelector('main')?.textContent ?? '',
    title: document.querySelector('title')?.textContent ?? '',
    leftFor,
  }
}
