/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of a simulated air's folder. Missing files are defaults; a line that cannot be read is
 * ignored and logged once. Blank lines and lines that start with # count for nothing; of two lines
 * that say the same thing the later one counts. A change counts within 100 ms; a file that is found
 * empty or without its last newline may be half-written and counts once it has stayed so.
 *
 *   positions  NAME X Y                  metres; a device without a line stands 0.25 m off
 *   air        KEY VALUE                 keys of struct sh_air
 *   faults     cut TARGET [after N]      ends the stream (after N octets from one side)
 *              blackhole TARGET [after N]  bytes vanish, the stream stays
 *              delay TARGET MS           each way
 *              rate TARGET N             octets a second
 *              drop TARGET PERCENT       of the chunks (ble), the advertisements (advert), the
 *                                        attempts (connect), the messages
 *     TARGET   ble | lan | advert | connect | message:NAME
 *              NAME is one of proto/msg.h; it acts on messages before TLS on ble, and `after N`
 *              then counts the octets of that message
 */
#ifndef SIMHOP_PAIRING_AIR_FILES_H
#define SIMHOP_PAIRING_AIR_FILES_H

#include "pairing/air.h"
#include "proto/cause.h"

enum sh_fault_target {
    SH_FAULT_BLE,
    SH_FAULT_LAN,
    SH_FAULT_ADVERT,
    SH_FAULT_CONNECT,
    SH_FAULT_TARGETS
};

/* What the faults file says of one target now. */
struct sh_fault {
    bool cut, blackhole;
    uint64_t cut_after, blackhole_after; /* octets sent by this side */
    unsigned delay_ms;
    uint64_t rate; /* 0 = not said */
    double drop;   /* 0 to 1 */
};

struct sh_air_files;

/* dir is opened by descriptor, so its path may be long. Fails with env.no-radio (no such folder,
 * not a folder), env.no-memory. */
SH_MUST_USE enum sh_cause sh_air_files_open(const char *dir, struct sh_air_files **ret_files);
/* NULL is fine. */
void sh_air_files_close(struct sh_air_files *files);

/* Looks at the files again if 40 ms have passed since the last look. */
void sh_air_files_refresh(struct sh_air_files *files, sh_ms now);

const struct sh_air *sh_air_files_air(const struct sh_air_files *files);
/* Where two devices stand. Where one or both have no line, 0.25 m apart. */
void sh_air_files_places(const struct sh_air_files *files, const char *a, const char *b,
                         struct sh_position *ret_a, struct sh_position *ret_b);
struct sh_fault sh_air_files_fault(const struct sh_air_files *files, enum sh_fault_target target);
/* A fault for message:NAME, for a message type of proto/msg.h. */
struct sh_fault sh_air_files_message_fault(const struct sh_air_files *files, unsigned type);

#endif
