/* Numbers from a seed, so that a test that goes by chance can go the same way again: a linear
 * congruential generator, the upper half of it. */
export class Dice {
	#state;

	constructor(seed) {
		this.#state = BigInt(seed);
	}

	below(bound) {
		this.#state = BigInt.asUintN(64, this.#state * 6364136223846793005n + 1442695040888963407n);
		return Number((this.#state >> 33n) % BigInt(bound));
	}

	pick(list) {
		return list[this.below(list.length)];
	}
}
