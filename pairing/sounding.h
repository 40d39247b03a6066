/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Distance by Bluetooth Channel Sounding, as an engine: steps of procedures in, an estimate after each procedure. Like
 * nearness from signal strength it is friction, never authorisation (docs/security.md), but it measures time and phase, which
 * a stronger transmitter does not change. Bluetooth Core 6.0, Vol 6 Part H; the values of a step are those of HCI's LE CS
 * Subevent Result and LE CS Subevent Result Continue events, Vol 4 Part E 7.7.65.44 and 7.7.65.45.
 *
 * Two distances are made, and both are needed:
 *   phase  from the tones of mode 2 and 3 (pairing/sounding_phase.h), one a procedure, and of the latest the median. Good to
 *          centimetres in the open and half a metre in a room; but it repeats every 150 m, and who delays or turns the tones
 *          makes any of it.
 *   time   the mean round trip of the packets of mode 1 and 3, without outliers. Good to half a metre at best; nothing
 *          makes it shorter than the way is but to guess the packet before it is sent, which the attack metric sees.
 * The larger counts. No distance counts where they disagree beyond what noise allows, where a packet's metric says that an
 * attack is possible, or where there is too little of either. Constant memory: of more procedures and round trips than
 * are kept the latest count. One engine for one measurement: what spoke of an attack is never forgotten.
 */
#ifndef SIMHOP_PAIRING_SOUNDING_H
#define SIMHOP_PAIRING_SOUNDING_H

#include "pairing/sounding_phase.h"

#define SH_SOUNDING_SLOTS                                                                          \
    (SH_SOUNDING_ANTENNAS + 1) /* tones of a step: one a path, one of the extension slot */
#define SH_SOUNDING_NO_TIME      (-32768) /* "not available" in HCI */
#define SH_SOUNDING_NADM_UNKNOWN 0xff
#define SH_SOUNDING_NADM_ATTACK  3   /* "an attack is possible" and worse */
#define SH_SOUNDING_TRIPS        512 /* kept */
#define SH_SOUNDING_TRIPS_MIN    10
#define SH_SOUNDING_PROCEDURES   16 /* kept */

struct sh_sounding_tone {
    int16_t i, q; /* phase correction term, 12 bits with sign */
    uint8_t
        quality; /* low four bits: 0 high, 1 medium, 2 low, 3 none; high four: not 0 in the extension slot */
};

/* What one side measured in a step. */
struct sh_sounding_side {
    /* Modes 1 and 3. */
    uint8_t packet_quality; /* low four bits: 0 access address right, 1 with errors, 2 not found */
    uint8_t
        nadm; /* 0 "extremely unlikely" .. 6 "extremely likely" an attack, SH_SOUNDING_NADM_UNKNOWN */
    int16_t
        time; /* 0.5 ns, without the nominal delays: ToA - ToD of the initiator, ToD - ToA of the
                               reflector; SH_SOUNDING_NO_TIME */
    /* Modes 2 and 3, in the order of transmission. */
    uint8_t permutation; /* of the antenna paths: 0 .. paths! - 1 */
    struct sh_sounding_tone tones[SH_SOUNDING_SLOTS];
};

struct sh_sounding_step {
    uint8_t mode;    /* 0 .. 3 */
    uint8_t channel; /* 0 .. 78 */
    uint8_t paths;   /* antenna paths: 1 .. 4, and one tone more than that; modes 2 and 3 */
    struct sh_sounding_side initiator, reflector;
};

enum sh_sounding_verdict {
    SH_SOUNDING_TOO_LITTLE, /* channels, round trips, or both; more procedures may help */
    SH_SOUNDING_POOR,       /* the tones of no procedure so far make sense */
    SH_SOUNDING_ATTACK,     /* a packet's attack metric */
    SH_SOUNDING_DISAGREE,   /* phase and time, or they are below 0 beyond what noise allows */
    SH_SOUNDING_GOOD,
};

struct sh_sounding_estimate {
    enum sh_sounding_verdict verdict;
    double metres, sd_m; /* the one that counts, at least 0; NAN unless GOOD */
    double phase_m,
        phase_sd_m; /* what is known, whatever the verdict; NAN: nothing. May be below 0 */
    double time_m, time_sd_m;
    unsigned procedures;  /* with a phase */
    unsigned channels;    /* of the latest of them */
    unsigned round_trips; /* that count, outliers not */
};

struct sh_sounding;

/* NULL when there is no memory. */
struct sh_sounding *sh_sounding_new(void);
/* NULL is fine. */
void sh_sounding_free(struct sh_sounding *sounding);

/* One step of the procedure that runs. What is out of range or of bad quality does not count. */
void sh_sounding_add(struct sh_sounding *sounding, const struct sh_sounding_step *step);
/* The procedure is complete. Takes some milliseconds. */
void sh_sounding_complete(struct sh_sounding *sounding);
/* What the complete procedures, and the round trips of the one that runs, say. */
struct sh_sounding_estimate sh_sounding_now(const struct sh_sounding *sounding);

/* "good", "too little", ...: for the log. Never NULL. */
const char *sh_sounding_verdict_name(enum sh_sounding_verdict verdict);

#endif
