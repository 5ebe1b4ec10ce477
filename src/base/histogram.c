/* histogram.c: see histogram.h. */
#include "base/histogram.h"

size_t histogram_bucket(uint64_t value) {
    if (value >= HISTOGRAM_MAX) {
        return HISTOGRAM_BUCKETS - 1;
    }
    if (value < 2 * HISTOGRAM_STEPS) {
        return (size_t)value;
    }
    unsigned bits = 63u - (unsigned)__builtin_clzll(value); /* value is in [2^bits, 2^(bits+1)) */
    unsigned shift = bits - (HISTOGRAM_EXACT_BITS - 1);
    return shift * HISTOGRAM_STEPS + (size_t)(value >> shift);
}

uint64_t histogram_bucket_start(size_t bucket) {
    if (bucket < 2 * HISTOGRAM_STEPS) {
        return bucket;
    }
    size_t shift = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
}

void histogram_add(struct histogram *h, uint64_t value) {
    h->count++;
    h->sum += value;
    h->max = value > h->max ? value : h->max;
    h->buckets[histogram_bucket(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    into->count += from->count;
    into->sum += from->sum;
    into->max = from->max > into->max ? from->max : into->max;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}

uint64_t histogram_quantile(const struct histogram *h, double part) {
    double wanted = part * (double)h->count;
    uint64_t rank = (uint64_t)wanted + ((double)(uint64_t)wanted < wanted); /* rounded up */
    uint64_t seen = 0;
    if (h->count == 0 || part >= 1) {
        return h->max;
    }
    rank = rank < 1 ? 1 : rank;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            uint64_t start = histogram_bucket_start(i);
            uint64_t middle = start + (histogram_bucket_start(i + 1) - start) / 2;
            return middle < h->max ? middle : h->max;
        }
    }
    return h->max;
}

double histogram_mean(const struct histogram *h) {
    return h->count > 0 ? (double)h->sum / (double)h->count : 0;
}
