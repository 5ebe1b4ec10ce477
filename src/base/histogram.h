/* histogram.h: how often which value came: log-linear, of a fixed size, mergeable.
 *
 * Values are whole microseconds. Up to 255 each has a bucket of its own; above, every
 * doubling is cut into 128, so that a bucket is at most 0.8 % wide and what is told of it
 * (its middle) at most 0.4 % off. Values from HISTOGRAM_MAX on share the last bucket; the
 * largest is kept as it is.
 *
 * No pointers, and zero bytes are an empty one: it can lie in shared memory. It has one
 * writer; readers meanwhile see each bucket at some time.
 */
#ifndef REPRISE_BASE_HISTOGRAM_H
#define REPRISE_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_EXACT_BITS 8u                            /* values below 2^8 are exact */
#define HISTOGRAM_STEPS (1u << (HISTOGRAM_EXACT_BITS - 1)) /* buckets a doubling */
#define HISTOGRAM_MAX_BITS 32u                             /* 2^32 us are 71 minutes */
#define HISTOGRAM_MAX ((uint64_t)1 << HISTOGRAM_MAX_BITS)
#define HISTOGRAM_BUCKETS \
    (2u * HISTOGRAM_STEPS + (HISTOGRAM_MAX_BITS - HISTOGRAM_EXACT_BITS) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t count;
    uint64_t sum; /* of the values as they came */
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts a value. */
void histogram_add(struct histogram *h, uint64_t value);

/* Adds all of `from` to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value that a share of `part` (0 to 1) of all values does not exceed: the middle of
 * its bucket, and never more than the largest value. 0 when it is empty. */
uint64_t histogram_quantile(const struct histogram *h, double part);

/* The mean; 0 when it is empty. */
double histogram_mean(const struct histogram *h);

/* The bucket of a value, and the first value of a bucket and of the one behind it. */
size_t histogram_bucket(uint64_t value);
uint64_t histogram_bucket_start(size_t bucket);

#endif
