'use strict';
require('./launch.js')(['action', 'post']);
