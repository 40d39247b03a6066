/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Distance from the phases of tones (Bluetooth Core 6.0, Vol 6 Part H; Vol 1 Part A, "Channel Sounding", phase-based
 * ranging). No I/O, no memory of its own.
 *
 * A tone of frequency f that goes d metres arrives turned by -2 pi f d / c. Each side sees it turned by its own oscillator
 * too, the two in opposite directions, so the product of what both measured in one step is turned by -4 pi f d / c alone.
 * Over channels 1 MHz apart that is a line whose slope is the distance, repeating every c / 2 MHz = 149.9 m.
 *
 * The slope is not fitted to an unwrapped phase, which one faded channel breaks: the distance is the one whose line adds
 * up best over all channels (the peak of the inverse transform, computed where it is needed, so gaps in the channels do no
 * harm). What that path explains is taken away and the rest searched for others, which are told apart from c / 2B, 2 m over
 * all channels, on; the earliest that is not much weaker than the strongest is the direct one.
 */
#ifndef SIMHOP_PAIRING_SOUNDING_PHASE_H
#define SIMHOP_PAIRING_SOUNDING_PHASE_H

#include "proto/base.h"

#define SH_SOUNDING_CHANNELS     79         /* 2402 MHz and up, 1 MHz each */
#define SH_SOUNDING_ANTENNAS     4          /* antenna paths */
#define SH_SOUNDING_AMBIGUITY_M  149.896229 /* c / 2 MHz */
#define SH_SOUNDING_CHANNELS_MIN 20         /* with tones that count, in one procedure */
#define SH_SOUNDING_SPAN_MIN     40         /* from the lowest to the highest of them */

/* Of one procedure: weighted sums of the two-way products, by antenna path and channel. All 0 at first. */
struct sh_sounding_tones {
    struct {
        double re, im, weight;
    } at[SH_SOUNDING_ANTENNAS][SH_SOUNDING_CHANNELS];
};

/* One product: (i + jq of the initiator) * (i + jq of the reflector). weight > 0; antenna and channel in range. */
void sh_sounding_tone_add(struct sh_sounding_tones *tones, unsigned antenna, unsigned channel,
                          double re, double im, double weight);

enum sh_sounding_fit {
    SH_SOUNDING_FIT,
    SH_SOUNDING_FIT_FEW,  /* too few channels, or too close together */
    SH_SOUNDING_FIT_POOR, /* no line stands out of the noise */
};

struct sh_sounding_line {
    double metres; /* of the direct path; -5 .. 144.9, below 0 by noise and delays of the radios */
    double sd_m;   /* by noise alone */
    unsigned channels;
};

/* ret_line is written where it returns SH_SOUNDING_FIT. Takes some million additions at most. */
SH_MUST_USE enum sh_sounding_fit sh_sounding_line_fit(const struct sh_sounding_tones *tones,
                                                      struct sh_sounding_line *ret_line);

#endif
