// The address bar as state: links are ordinary links, clicks on them stay in the page, and
// Back works because every view has its own address.

import { match, path, withQuery, type Route } from './router';

class Place {
  private url = $state(new URL(window.location.href));
  readonly route: Route = $derived(match(this.url.pathname));
  readonly query: URLSearchParams = $derived(this.url.searchParams);

  constructor() {
    window.addEventListener('popstate', () => (this.url = new URL(window.location.href)));
    document.addEventListener('click', (event) => this.follow(event));
  }

  /** The address of a page; the language stays when it was asked for in the address. */
  href(route: Route, query: Record<string, string | null> = {}): string {
    return path(route) + withQuery('', { lang: this.query.get('lang'), ...query });
  }

  go(href: string): void {
    window.history.pushState(null, '', href);
    this.url = new URL(window.location.href);
    window.scrollTo(0, 0);
    document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true });
  }

  /** Changes filters in place. Typing into a search field should not fill the history. */
  set(changes: Record<string, string | null>, keep: 'replace' | 'push' = 'replace'): void {
    const href = this.url.pathname + withQuery(this.url.search, changes);
    if (keep === 'push') window.history.pushState(null, '', href);
    else window.history.replaceState(null, '', href);
    this.url = new URL(window.location.href);
  }

  private follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== window.location.origin) return;
    if (/^\/(api|metrics|healthz|readyz)/.test(link.pathname)) return;
    event.preventDefault();
    this.go(link.href);
  }
}

export const place = new Place();
