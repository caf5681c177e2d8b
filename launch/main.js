'use strict';
require('./launch.js')([]); // the binary reads its command from the input of that name
