/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the signal ProcedureData of BlueZ's org.bluez.ChannelSounding1 carries (doc/org.bluez.ChannelSounding1.rst): all
 * subevents and steps of one procedure of Channel Sounding, first as the initiator measured them, then as the reflector did.
 * No I/O and no memory of its own: the octets stay the caller's and are read where they lie.
 *
 * The two sides are walked together, subevent by subevent and step by step. The reflector's come over the air by the Ranging
 * Service 1.0, which does not repeat the channels (they are 0 then) and leaves out steps that were aborted (mode 0 then): a
 * step counts where both tell of the same mode and neither of another channel than the other.
 *
 * Nothing is trusted: the whole of it is measured before the first step is given out.
 */
#ifndef SIMHOP_PAIRING_SOUNDING_PARSE_H
#define SIMHOP_PAIRING_SOUNDING_PARSE_H

#include "pairing/sounding.h"

#define SH_SOUNDING_DATA_MAX 65536 /* octets; 256 steps of a procedure, each side, are some 23000 */

/* One side's place in the data. */
struct sh_sounding_cursor {
    struct sh_bytes left;
    uint32_t subevents, steps; /* that begin in what is left */
    uint8_t paths;             /* antenna paths of the subevent */
};

struct sh_sounding_reader {
    struct sh_sounding_cursor initiator, reflector;
    uint16_t counter;  /* of the procedure */
    unsigned unpaired; /* steps so far that did not count */
};

/* false: cut, or too long, or not this at all. The data must live as long as the reader. */
SH_MUST_USE bool sh_sounding_reader_open(struct sh_bytes data,
                                         struct sh_sounding_reader *ret_reader);

/* The next step that counts. false: there are no more. */
SH_MUST_USE bool sh_sounding_reader_next(struct sh_sounding_reader *reader,
                                         struct sh_sounding_step *ret_step);

#endif
