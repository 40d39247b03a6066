/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A look at protobuf bytes before protobuf-c sees them: strings with a NUL inside (which C would silently cut) and
 * nesting deeper than any schema here are refused.
 */
#ifndef SIMHOP_PROTO_WIRE_H
#define SIMHOP_PROTO_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "proto/base.h"

#define SH_WIRE_DEPTH 8

/* false: refuse the message. What is merely malformed is left to the unpacking. */
SH_MUST_USE bool sh_wire_is_sane(const ProtobufCMessageDescriptor *schema, struct sh_bytes bytes);

#endif
