/* version.h - what this is. */
#pragma once

#define STARLING_VERSION "0.1.0"
