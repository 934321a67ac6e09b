// What a view can not show hurts that view only.

import { Component, type ComponentChildren } from "preact";
import type { Resource } from "./api";

interface BoundaryProps {
  /** The view is tried again as soon as one of these says something else. */
  of: readonly Resource<unknown>[];
  children: ComponentChildren;
}

export class Boundary extends Component<BoundaryProps, { trouble: string | null }> {
  override state = { trouble: null };
  #leave: (() => void)[] = [];

  static override getDerivedStateFromError(error: unknown): { trouble: string } {
    return { trouble: String(error) };
  }

  override componentDidMount(): void {
    this.#leave = this.props.of.map((resource) => resource.data.subscribe(() => this.#retry()));
  }

  override componentWillUnmount(): void {
    for (const leave of this.#leave) leave();
  }

  override render({ children }: BoundaryProps): ComponentChildren {
    if (this.state.trouble === null) return children;
    return (
      <p class="trouble" role="alert">
        This view can not show what the agent says ({this.state.trouble}). An agent of another version has a page of its
        own: load it anew.
      </p>
    );
  }

  #retry(): void {
    if (this.state.trouble !== null) this.setState({ trouble: null });
  }
}
