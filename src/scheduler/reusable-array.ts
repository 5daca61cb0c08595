/** An array that is allocated once and lent again and again. It doubles when more is asked for; what was lent before is then over. */
export class ReusableArray<A extends Int32Array | Float32Array | Float64Array> {
  readonly #allocate: (length: number) => A
  #whole: A

  constructor(allocate: (length: number) => A) {
    this.#allocate = allocate
    this.#whole = allocate(1)
  }

  /** So many elements, as they were left. */
  lend(length: number): A {
    if (length > this.#whole.length) this.#whole = this.#allocate(2 ** Math.ceil(Math.log2(length)))
    return this.#whole.subarray(0, length) as A
  }
}
