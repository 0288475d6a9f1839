// Something read from the server for a page: its data, whether it is being read, and what
// went wrong. A later answer never overwrites the answer to a newer question.

import { ApiError } from './api';

export class Resource<T> {
  data = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  loading = $state(false);
  private question = 0;

  /** Reads; keeps showing what was there until the answer comes. */
  async read(fetch: () => Promise<T>): Promise<void> {
    const question = ++this.question;
    this.loading = true;
    try {
      const data = await fetch();
      if (question !== this.question) return;
      this.data = data;
      this.error = null;
    } catch (error) {
      if (question !== this.question) return;
      this.error = error instanceof ApiError ? error : new ApiError(0, String(error), null);
    } finally {
      if (question === this.question) this.loading = false;
    }
  }

  /** Forgets everything: another thing is asked for now. */
  reset(): void {
    this.question += 1;
    this.data = null;
    this.error = null;
    this.loading = false;
  }
}
